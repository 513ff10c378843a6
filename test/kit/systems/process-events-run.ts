import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GuestKit, listKits } from "../guests/guest-kits";
import { type GuestRun, runGuest, scriptPrelude } from "../guests/guest-run";
import { BUILT } from "../project";

const LINUX_KERNEL = join(BUILT, "src/systems/linux/structs/linux-kernel.js");

/** What a task logged that it did. */
export interface Act {
  readonly what: string;
  readonly values: ReadonlyMap<string, string>;
}

/** What a callback of processes or modules was called with; bigint as text. */
export interface SeenEvent {
  readonly type: "CREATEPROC_CB" | "REMOVEPROC_CB" | "LOADMODULE_CB" | "REMOVEMODULE_CB";
  readonly pid: number;
  readonly pgd: string;
  readonly name: string;
  readonly base?: string;
  readonly size?: number;
  readonly fullname?: string;
  /** Whether a vCPU's CR3 has been set to this pgd since the last end of an address space of this pgd. */
  readonly hasRun: boolean;
}

export interface EventRun {
  readonly run: GuestRun;
  readonly acts: readonly Act[];
  readonly events: readonly SeenEvent[];
}

/** What set-up has made kits of: the default kernel, a 32-bit one, and the newest among them. */
export const EVENT_KITS = listKits();

/** Calls of all four types, from power-on; when the task waits, it is told to go, and what came until then is forgotten. */
const WATCH = (
  serial: string,
  name: string | undefined,
  file: string,
  types: readonly string[],
  hidden: readonly string[],
): string => `
  import { CallbackManager, getRunningProcess, listCallbacks, writeVa } from "rebox";
  import { copyFileSync, writeFileSync } from "node:fs";
  ${scriptPrelude(serial)}
  import { createRequire } from "node:module";
  const { LinuxKernel } = createRequire("/")(${JSON.stringify(LINUX_KERNEL)});
  const hidden: readonly string[] = ${JSON.stringify(hidden)};
  const { findSymbol } = LinuxKernel.prototype;
  LinuxKernel.prototype.findSymbol = function (...names: string[]) {
    return findSymbol.call(this, ...names.filter((name) => !hidden.includes(name)));
  };
  let cm: CallbackManager;
  const seen: object[] = [];
  const ran = new Set<bigint>();
  const note = (type: string, pid: number, pgd: bigint, more: object) => {
    seen.push({ type, pid, pgd: String(pgd), ...more, hasRun: ran.has(pgd) });
    if (type === "REMOVEPROC_CB") ran.delete(pgd);
  };
  export function initialize_callbacks(handle: number): void {
    cm = new CallbackManager(handle);
    cm.addCallback("CONTEXTCHANGE_CB", (_from, to) => void ran.add(to));
    for (const type of ${JSON.stringify(types)} as ("CREATEPROC_CB" | "LOADMODULE_CB")[]) {
      if (type === "CREATEPROC_CB") cm.addCallback(type, (pid, pgd, name) => note(type, pid, pgd, { name }));
      else if ((type as string) === "REMOVEPROC_CB") cm.addCallback(type as "CREATEPROC_CB", (pid, pgd, name) => note(type, pid, pgd, { name }));
      else cm.addCallback(type, (pid, pgd, base, size, name, fullname) =>
        note(type, pid, pgd, { base: String(base), size, name, fullname }));
    }
    ${
      name === undefined
        ? ""
        : `void untilTruth("${name}.waits").then((truth) => {
      const go = BigInt(truth.get("${name}.go")!);
      const poll = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
        writeVa(getRunningProcess(cpuIndex), go, Buffer.from([1, 0, 0, 0]));
        cm.rmCallback(poll);
        seen.length = 0;
      }, { addr: BigInt(truth.get("${name}.poll")!) });
    });`
    }
  }
  export function clean(): void {
    copyFileSync(serialFile, ${JSON.stringify(file)} + ".serial");
    writeFileSync(${JSON.stringify(file)}, JSON.stringify(seen));
    cm.clean();
  }
`;

/**
 * Runs a task to its end, and collects the events and what the task says that it did.
 *
 * @param waits the name under which the task waits for a sign; undefined for one that does not wait
 */
export async function watchTask(options: {
  readonly task: string;
  readonly waits?: string;
  readonly parameters?: Record<string, string | number>;
  readonly kit: GuestKit;
  readonly cpus?: number;
  readonly types?: readonly string[];
  /** Symbols that the kernel is made to lack. */
  readonly hidden?: readonly string[];
}): Promise<EventRun> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-events-"));
  const types = options.types ?? ["CREATEPROC_CB", "REMOVEPROC_CB"];
  try {
    const file = join(folder, "events.json");
    const config = join(folder, "pyrebox.conf");
    writeFileSync(config, `[VOL]\nprofile: ${options.kit.profile}\n`);
    const run = await runGuest({
      task: options.task,
      parameters: options.parameters ?? {},
      kit: options.kit,
      timeoutMs: 180_000,
      qemuArgs: ["-smp", String(options.cpus ?? 1)],
      reboxArgs: options.kit.profile === undefined ? [] : ["-c", config],
      script: (serial) => WATCH(serial, options.waits, file, types, options.hidden ?? []),
    });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    assert.equal(run.truth.get(`${options.task}.done`), "1", run.stdout);
    return {
      run,
      acts: readActs(readFileSync(`${file}.serial`, "latin1")),
      events: JSON.parse(readFileSync(file, "utf8")),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads what a task says that it did. */
export function readActs(serial: string): Act[] {
  return [...serial.matchAll(/^rebox-act: (\d+) (\w+) (.*?)\r?$/gm)].map(([, number, what, values], index) => {
    assert.equal(Number(number), index);
    // A name may hold anything, so it comes last.
    const pairs = [...values!.matchAll(/(\w+)=(.*?)(?= \w+=|\s*$)/g)];
    return { what: what!, values: new Map(pairs.map(([, key, value]) => [key!, value!])) };
  });
}

/** What a log of acts must give: "+pid name" for each address space that begins, "-pid name" for each that ends. */
export function expectEvents(acts: readonly Act[]): string[] {
  const names = new Map<string, string>();
  return acts.flatMap(({ what, values }) => {
    const [pid, child, name] = ["pid", "child", "name"].map((key) => values.get(key)!);
    const before = names.get(pid!);
    switch (what) {
      case "fork":
      case "vforkexec":
        names.set(child!, name!);
        return [`+${child} ${name}`];
      case "exec":
      case "texec":
        names.set(pid!, name!);
        return [`-${pid} ${before}`, `+${pid} ${name}`];
      case "rename":
        names.set(pid!, name!);
        return [];
      case "exit":
        return [`-${pid} ${name}`];
      default:
        return [];
    }
  });
}
