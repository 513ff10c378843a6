import assert from "node:assert/strict";
import { test } from "node:test";
import type { NtTruth } from "../kit/nt/nt-kernel";
import { withNt } from "../kit/nt/nt-run";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const SCRIPT = [
  "start smss.exe",
  "load smss.exe library.dll",
  "driver disk.sys",
  "start zombie.exe smss.exe",
  "zombie zombie.exe",
  "hold",
  "start csrss.exe smss.exe",
  "load csrss.exe library.dll",
  "unload smss.exe library.dll",
  "undriver disk.sys",
  "churn 30",
  "driver disk.sys",
  "zombie csrss.exe",
  "exit smss.exe",
];

/** Notes all events; in each new churn.exe it sets a breakpoint on its function, and one on a library that comes later. */
const WATCH = (folder: string): string => `
  import { CallbackManager } from "rebox";
  import { BP } from "rebox/trusted";
  import { writeFileSync } from "node:fs";
  let cm: CallbackManager;
  const seen: string[] = [];
  const late = new Map<bigint, BP>();
  let runs = 0, found = 0;
  export function initialize_callbacks(handle: number): void {
    cm = new CallbackManager(handle);
    cm.addCallback("CREATEPROC_CB", (pid, pgd, name) => {
      seen.push(["+", pid, pgd, name].join(" "));
      if (name !== "churn.exe") return;
      new BP("churn.exe!CountRun", pgd, { isOneShot: true, func: () => void runs++ });
      late.set(pgd, new BP("library!GetLibraryState", pgd, {}));
    }, { replay: true });
    cm.addCallback("REMOVEPROC_CB", (pid, pgd, name) => {
      seen.push(["-", pid, pgd, name].join(" "));
      const bp = late.get(pgd);
      if (bp?.address !== undefined && bp.address >> 28n === 0x7ffa2n) found++;
      bp?.delete();
      late.delete(pgd);
    });
    cm.addCallback("LOADMODULE_CB", (pid, pgd, base, size, name, fullname) =>
      void seen.push(["load", pid, pgd, base, size, name, fullname].join(" ")), { replay: true });
    cm.addCallback("REMOVEMODULE_CB", (pid, pgd, base, size, name, fullname) =>
      void seen.push(["unload", pid, pgd, base, size, name, fullname].join(" ")));
  }
  export function clean(): void {
    writeFileSync(${JSON.stringify(`${folder}/seen.json`)}, JSON.stringify({ seen, runs, found }));
    cm.clean();
  }
`;

/** What the kernel's words make of the callbacks' calls. */
class Expected {
  readonly lines: string[] = [];
  readonly #processes = new Map<unknown, NtTruth>();
  readonly #modules = new Map<unknown, Map<unknown, string>>();
  readonly #drivers = new Map<unknown, string>();

  add(truth: NtTruth): void {
    const { pid, name, cr3, base, size, path } = truth as Record<string, string | bigint>;
    switch (truth.event) {
      case "process":
        this.#processes.set(pid, truth);
        this.#modules.set(pid, new Map());
        this.lines.push(`+ ${pid} ${cr3} ${name}`);
        break;
      case "process gone":
        for (const module of this.#modules.get(pid)!.values()) this.lines.push(`unload ${module}`);
        this.#modules.delete(pid);
        this.#processes.delete(pid);
        this.lines.push(`- ${pid} ${cr3} ${name}`);
        break;
      case "module": {
        const full = String(path).slice(2);
        const { cr3: pgd } = this.#processes.get(pid)!;
        const module = `${pid} ${pgd} ${base} ${size} ${full.split("\\").at(-1)} ${full}`;
        this.#modules.get(pid)!.set(base, module);
        this.lines.push(`load ${module}`);
        break;
      }
      case "module gone":
        this.lines.push(`unload ${this.#modules.get(pid)!.get(base)}`);
        this.#modules.get(pid)!.delete(base);
        break;
      case "driver":
        this.#drivers.set(base, `0 0 ${base} ${size} ${nameDriver(String(path))} ${path}`);
        this.lines.push(`load ${this.#drivers.get(base)}`);
        break;
      case "driver gone":
        this.lines.push(`unload ${this.#drivers.get(base)}`);
        this.#drivers.delete(base);
        break;
      default:
    }
  }

  /** What exists now, as a callback that begins now is told of it. */
  listExisting(): string[] {
    const modules = [...this.#modules.values()].flatMap((of) => [...of.values()]);
    return [
      ...[...this.#processes.values()].map(({ pid, cr3, name }) => `+ ${pid} ${cr3} ${name}`),
      ...[...modules, ...this.#drivers.values()].map((module) => `load ${module}`),
    ];
  }
}

/** What is left of events that begin something and others that end it; each begins once, and what ends has begun. */
function fold(events: readonly string[]): string[] {
  const left = new Set<string>();
  for (const event of events) {
    const begin = event.replace(/^- /, "+ ").replace(/^unload /, "load ");
    if (begin === event) assert.ok(!left.has(event), `${event} came twice`);
    else assert.ok(left.has(begin), `${event} without its beginning`);
    if (begin === event) left.add(event);
    else left.delete(begin);
  }
  return [...left];
}

const nameDriver = (path: string): string => (path.endsWith("ntoskrnl.exe") ? "kernel" : path.split("\\").at(-1)!);

test(
  "processes, modules and drivers of an NT kernel are reported, none lost and none twice, and those that exist by replay",
  { skip: WITHOUT_WINDOWS_TOOLS },
  async () => {
    const { truth, seen, stderr } = await withNt({ script: SCRIPT, rebox: WATCH }, async (run) => {
      await run.untilHold(1);
      // The replay comes when rebox has attached: its own list of processes shows that it has.
      await run.data("ps");
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await run.release();
      await run.untilEnd();
    });
    assert.equal(stderr, "");
    assert.equal(truth.at(-1)!.event, "done");
    const { seen: events, runs, found } = seen as { seen: string[]; runs: number; found: number };
    const hold = truth.findIndex(({ event }) => event === "hold");
    const expected = new Expected();
    for (const one of truth.slice(0, hold)) expected.add(one);
    const existing = expected.listExisting();
    expected.lines.length = 0;
    for (const one of truth.slice(hold)) expected.add(one);
    // rebox may attach at any moment before the hold: some of what exists is replayed then, the rest seen as it comes.
    const first = events.indexOf(expected.lines[0]!);
    assert.deepEqual(fold(events.slice(0, first)).sort(), existing.sort());
    assert.deepEqual(events.slice(first), expected.lines);
    // Breakpoints by module!symbol: one that is there when the process begins, one that waits for its library.
    assert.equal(runs, 30);
    assert.equal(found, 30);
  },
);
