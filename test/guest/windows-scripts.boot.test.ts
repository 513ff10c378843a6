import assert from "node:assert/strict";
import { test } from "node:test";
import { withNt } from "../kit/nt/nt-run";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const SCRIPT = [
  "start smss.exe",
  "start csrss.exe smss.exe",
  "load csrss.exe library.dll",
  "handles smss.exe 5",
  "hold",
];

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
      const { pid, ppid, pgd, name, kaddr, isKernelThread, commandLine, executable, isAlive, threads, handles, modules } = process;
      const struct = system.struct("_EPROCESS", kaddr);
      const found: GuestProcess | undefined = pgd === 0n ? undefined : findProcess<GuestProcess>(pgd);
      return {
        pid, ppid, pgd, name, kaddr, isKernelThread, commandLine, executable, isAlive,
        threads: threads.map(({ tid }) => tid), handles: handles.length, user: process.token.user, begun: process.startTime.getTime(),
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
    const drivers = system.getKernelModules().map(({ name, base }) => [name, base]);
    const head = system.symbols.resolve(0n, undefined, "PsActiveProcessHead");
    const holder = head === undefined ? undefined : system.symbols.findModule(0n, head);
    return JSON.stringify(plain({
      kind, bits, version, build, drivers, head, holder: holder?.name, lines, refused, linux: findGuest() === undefined, same: findSystem() === system,
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
  readonly handles: number;
  readonly modules: readonly (readonly [base: string, size: number, path: string, first: boolean, behind: boolean])[];
}

interface Look {
  readonly kind: string;
  readonly bits: number;
  readonly build: number;
  readonly refused: string;
  readonly linux: boolean;
  readonly same: boolean;
  readonly none: boolean;
  readonly clock: boolean;
  readonly lines: readonly Line[];
}

test(
  "a script sees the processes of an NT kernel, the same in the sandbox and outside, and as the kernel says",
  { skip: WITHOUT_WINDOWS_TOOLS },
  async () => {
    const looks: Look[] = [];
    for (const trust of [true, false]) {
      await withNt({ script: SCRIPT, rebox: LOOK, trust }, async ({ text, truth, untilHold }) => {
        await untilHold(1);
        const look = JSON.parse(await text("custom look")) as Look;
        looks.push(look);
        const told = (event: string) => truth().filter((one) => one.event === event);
        const hex = (value: unknown) => `0x${(value as bigint).toString(16)}`;
        assert.deepEqual(
          look.lines.map(({ pid, ppid, pgd, name, kaddr }) => [pid, ppid, name, pgd, kaddr]),
          told("process").map(({ pid, ppid, name, cr3, eprocess }) => [
            ...[Number(pid), Number(ppid), name, hex(cr3), hex(eprocess)],
          ]),
        );
        for (const { pid, same, byPid, kaddr, modules } of look.lines) {
          assert.deepEqual([same, byPid], [pid, kaddr]);
          assert.deepEqual(
            modules.map(([base, size, path]) => [base, size, path]),
            told("module").filter((one) => Number(one.pid) === pid).map(({ base, size, path }) => [hex(base), Number(size), path]), // prettier-ignore
          );
          for (const [, , , first, behind] of modules) assert.deepEqual([first, behind], [true, false]);
        }
        assert.ok(look.lines.find(({ name }) => name === "smss.exe")!.handles >= 5);
        const { kind, bits, build, refused, linux, same, none, clock } = look;
        assert.deepEqual(
          { kind, bits, build, refused, linux, same, none, clock },
          {
            ...{ kind: "windows", bits: 64, build: 19041, refused: "REBOX_OTHER_SYSTEM" },
            ...{ linux: true, same: true, none: true, clock: true },
          },
        );
      });
    }
    assert.deepEqual(looks[0], looks[1]);
  },
);
