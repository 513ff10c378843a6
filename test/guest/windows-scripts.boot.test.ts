import assert from "node:assert/strict";
import { test } from "node:test";
import { withNt } from "../kit/nt/nt-run";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const SCRIPT = [
  ...["start smss.exe", "start csrss.exe smss.exe", "load csrss.exe library.dll", "driver disk.sys", "thread smss.exe"],
  ...["handles smss.exe 5", "handles csrss.exe 300", "start zombie.exe", "zombie zombie.exe"],
  ...["callbacks", "hives", "hold"],
];
const BASE = 0xfffff80123456000n;

const hex = (value: unknown): string => `0x${BigInt(value as bigint).toString(16)}`;

/** What a script sees, with its big integers as text. */
const LOOK = () => `
  import {
    findGuest, findProcess, findSystem, getGuest, getModuleList, getProcessList, getSystem, type GuestProcess, type WindowsProcess,
    type WindowsGuest,
  } from "rebox";
  const plain = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? "0x" + one.toString(16) : one)));
  export function do_look(): string {
    const system = getSystem() as WindowsGuest;
    const lines = getProcessList<WindowsProcess>().map((process) => {
      const { pid, ppid, pgd, name, kaddr, isKernelThread, commandLine, executable, isAlive, threads, handles, modules, memoryMap } = process;
      const struct = system.struct("_EPROCESS", kaddr);
      const found: GuestProcess | undefined = pgd === 0n ? undefined : findProcess<GuestProcess>(pgd);
      return {
        pid, ppid, pgd, name, kaddr, isKernelThread, commandLine, executable, isAlive,
        threads: threads.map(({ tid }) => tid), handles: handles.map(({ handle, type, name }) => [handle, type, name]),
        ranges: memoryMap.map(({ start, end, path }) => [start, end, path]), user: process.token.user, begun: process.startTime.getTime(),
        modules: modules.map(({ base, size, path, contains }) => [base, size, path, contains(base), contains(base + BigInt(size))]),
        same: found?.pid, byPid: system.findProcess(pid)?.kaddr, number: struct.UniqueProcessId, listed: pgd === 0n ? 0 : getModuleList(pgd).length,
      };
    });
    let refused = "";
    try {
      getGuest();
    } catch (error) {
      refused = (error as { code: string }).code;
    }
    const { kind, bits, version, build } = system;
    const run = system.findRegistryKey("HKLM\\\\SOFTWARE\\\\Microsoft\\\\Windows\\\\CurrentVersion\\\\Run")!;
    const more = {
      hives: system.getHives().map(({ root }) => root), subkeys: run.subkeys, written: run.lastWriteTime.getTime() > 0,
      values: run.values.map(({ name, type, data, size }) => [name, type, data, size]), noKey: system.findRegistryKey("HKLM\\\\NoSuchKey") === undefined,
      callbacks: system.getCallbacks().map(({ address, detail }) => [address, detail]), services: system.getServices().length,
      views: system.compareProcessViews().map(({ pid, views }) => [pid, views.includes("list") && views.includes("numbers")]),
    };
    const drivers = system.getKernelModules().map(({ name, base }) => [name, base]);
    const head = system.symbols.resolve(0n, undefined, "PsActiveProcessHead");
    const holder = head === undefined ? undefined : system.symbols.findModule(0n, head);
    return JSON.stringify(plain({
      kind, bits, version, build, more, drivers, head, holder: holder?.name, lines, refused, linux: findGuest() === undefined, same: findSystem() === system,
      none: findProcess(999_999) === undefined, clock: system.clock.realTimeNs > 0n,
    }));
  }
  export const initialize_callbacks = (): void => undefined;
  export const clean = (): void => undefined;
`;

interface Line {
  readonly pid: number;
  readonly ppid: number;
  readonly pgd: string;
  readonly name: string;
  readonly kaddr: string;
  readonly same: number;
  readonly byPid: string;
  readonly number: string;
  readonly user: string;
  readonly isKernelThread: boolean;
  readonly executable: string;
  readonly commandLine: readonly string[];
  readonly threads: readonly number[];
  readonly handles: readonly unknown[];
  readonly ranges: readonly (readonly [start: string, end: string, path: string])[];
  readonly modules: readonly unknown[];
}

interface Look {
  readonly more: Readonly<Record<string, unknown>>;
  readonly kind: string;
  readonly bits: number;
  readonly build: number;
  readonly version: string;
  readonly drivers: readonly (readonly [name: string, base: string])[];
  readonly head: string;
  readonly holder: string;
  readonly refused: string;
  readonly linux: boolean;
  readonly same: boolean;
  readonly none: boolean;
  readonly clock: boolean;
  readonly lines: readonly Line[];
}

/** Which layouts, and whether the script runs outside the sandbox. */
const RUNS = [
  ["windows-10-19041", true],
  ["windows-10-19041", false],
  ["windows-7-7601", false],
  ["windows-8.1-9600", false],
  ["windows-10-14393", false],
  ["windows-10-17763", false],
  ["windows-server-20348", false],
  ["windows-11-22000", false],
] as const;

/** By layout: what a script saw of the same kernel elsewhere. */
const looks = new Map<string, Look>();

for (const [layout, trust] of RUNS) {
  test(
    `a script ${trust ? "outside the sandbox" : "in the sandbox"} sees of an NT kernel with the layout ${layout} what that says of itself`,
    { skip: WITHOUT_WINDOWS_TOOLS },
    async () => {
      await withNt(
        { script: SCRIPT, rebox: LOOK, trust, layout, base: BASE },
        async ({ text, data, truth, untilHold }) => {
          await untilHold(1);
          const look = JSON.parse(await text("custom look")) as Look;
          const told = (event: string) => truth().filter((one) => one.event === event);
          const of = (event: string, pid: number) => told(event).filter((one) => Number(one.pid) === pid);
          assert.deepEqual(
            look.lines.map(({ pid, ppid, pgd, name, kaddr, user }) => [pid, ppid, name, pgd, kaddr, user]),
            told("process").map(({ pid, ppid, name, cr3, eprocess, sid }) => [
              ...[Number(pid), Number(ppid), name, hex(name === "zombie.exe" ? 0n : cr3), hex(eprocess), sid],
            ]),
          );
          for (const line of look.lines.filter(({ name }) => name !== "zombie.exe")) {
            assert.deepEqual([line.same, line.byPid, line.number], [line.pid, line.kaddr, hex(BigInt(line.pid))]);
            const modules = of("module", line.pid);
            assert.deepEqual(
              line.modules,
              modules.map(({ base, size, path }) => [hex(base), Number(size), path, true, false]),
            );
            assert.deepEqual(line.threads, of("thread", line.pid).map(({ tid }) => Number(tid))); // prettier-ignore
            assert.deepEqual(line.handles, of("handle", line.pid).map(({ handle, type, name }) => [Number(handle), type, name])); // prettier-ignore
            for (const { base, size, path } of modules) {
              const range = line.ranges.find(([start]) => start === hex(base));
              assert.deepEqual(range, [hex(base), hex((base as bigint) + (size as bigint)), String(path).slice(2)]);
            }
            if (line.isKernelThread) continue;
            const path = `C:\\Windows\\System32\\${line.name}`;
            assert.deepEqual([line.executable, line.commandLine], [path, [path, "-x", "two words"]]);
          }
          assert.deepEqual(look.more, {
            hives: told("hive").map(({ root }) => root),
            ...{ subkeys: ["Pr\u00fcfung"], written: true, noKey: true, services: 0x1ce },
            values: [
              ["", "REG_SZ", "the default value", 36],
              ["Updater", "REG_SZ", "C:\\Users\\Public\\updater.exe /quiet", 70],
              ["Several", "REG_MULTI_SZ", ["one", "two", "three"], 30],
              ["Schl\u00fcssel", "REG_SZ", "gr\u00fc\u00df", 10],
            ],
            callbacks: told("callback").map(({ address, detail }) => [hex(address), detail]),
            views: told("process").map(({ pid }) => [Number(pid), true]),
          });
          const { lines: _, more: ___, version: __, drivers, head, holder, build, kind, bits, ...rest } = look;
          assert.deepEqual([kind, bits, build], ["windows", 64, Number(/\d+$/.exec(layout)![0])]);
          assert.deepEqual(drivers.map(([, base]) => base), told("driver").map(({ base }) => hex(base))); // prettier-ignore
          const [symbol] = await data<{ address: bigint }[]>("x kernel!PsActiveProcessHead");
          assert.deepEqual([head, holder], [hex(symbol!.address), "kernel"]);
          assert.deepEqual(rest, { refused: "REBOX_OTHER_SYSTEM", linux: true, same: true, none: true, clock: true });
          const other = looks.get(layout);
          if (other) assert.deepEqual(look, other);
          looks.set(layout, look);
        },
      );
    },
  );
}
