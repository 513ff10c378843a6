import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ReboxError } from "../../src/config/rebox-error";
import { attachWindows } from "../../src/systems/windows/attach-windows";
import type { SymbolFinder } from "../../src/systems/windows/symbols/image-symbols";
import { diagnoseWindows } from "../../src/systems/windows/windows-diagnosis";
import type { WindowsGuest } from "../../src/systems/windows/windows-guest";
import type { MemoryImage } from "../kit/memory-image";
import { type NtImage, saveNtImage } from "../kit/nt/nt-image";
import type { NtTruth } from "../kit/nt/nt-kernel";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

/** How many words of memory are damaged in all; REBOX_FUZZ_MUTATIONS sets another number, REBOX_FUZZ_SEED other ones. */
const MUTATIONS = Number(process.env.REBOX_FUZZ_MUTATIONS ?? 100_000);
const SEED = Number(process.env.REBOX_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const MUTATIONS_OF_A_ROUND = 200;
const ROUNDS_FOR_AN_ATTACH = 10;
/** Far more than what the slowest call takes on memory that is not damaged. */
const LONGEST_CALL_MS = 10_000;

const SCRIPT = [
  "start smss.exe",
  "start csrss.exe smss.exe",
  "load csrss.exe library.dll",
  "driver disk.sys",
  "thread smss.exe",
  "handles smss.exe 5",
  "handles csrss.exe 300",
  "start zombie.exe",
  "zombie zombie.exe",
  "start32 old.exe",
  "start idle.exe",
  "trim idle.exe",
  "hives",
  "callbacks",
  "hold",
];

let nt: NtImage;
let truth: readonly NtTruth[];
let image: MemoryImage;
let memory: Buffer;
let findSymbols: SymbolFinder;

before(async () => {
  if (WITHOUT_WINDOWS_TOOLS) return;
  nt = await saveNtImage({ script: SCRIPT });
  ({ truth, image, memory, findSymbols } = nt);
});

const of = (event: string): NtTruth[] => truth.filter((one) => one.event === event);

test("handles, tokens, command lines and environments are as the kernel says", { skip: WITHOUT_WINDOWS_TOOLS }, () => {
  const guest = attachWindows(image, { findSymbols })!;
  for (const { pid, name, sid, integrity, token } of of("process")) {
    const process = guest.findProcess(Number(pid))!;
    assert.deepEqual(
      [process.token.user, process.token.groups, process.token.kaddr],
      [sid, [integrity], token],
      name as string,
    );
    assert.deepEqual(process.token.enabledPrivileges, ["SeChangeNotifyPrivilege"]);
    assert.equal(process.token.privileges.includes("SeDebugPrivilege"), name === "System" || name === "Registry");
    const handles = of("handle").filter((handle) => handle.pid === pid);
    assert.equal(handles.length, name === "smss.exe" ? 5 : name === "csrss.exe" ? 300 : 0);
    assert.deepEqual(
      process.handles.map(({ handle, object, type, access, name: called }) => [
        BigInt(handle),
        object,
        type,
        BigInt(access),
        called,
      ]),
      handles.map((handle) => [handle.handle, handle.object, handle.type, handle.access, handle.name]),
    );
    if (name === "System" || name === "Registry" || name === "zombie.exe") continue;
    const path = `C:\\Windows\\System32\\${name as string}`;
    assert.deepEqual(process.commandLine, [path, "-x", "two words"]);
    assert.deepEqual([process.executable, process.workingFolder], [path, "C:\\Windows\\"]);
    assert.deepEqual(process.environment, ["SystemRoot=C:\\Windows", `NAME=${name as string}`]);
    assert.equal(process.imageFile, `\\Device\\HarddiskVolume1\\Windows\\System32\\${name as string}`);
  }
});

/** Numbers that repeat for a seed (xorshift32). */
function* random(seed: number): Generator<number, never> {
  let state = seed | 1;
  for (;;) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

let slowest = { what: "", ms: 0 };
function attempt(what: string, read: () => unknown): void {
  const start = performance.now();
  try {
    read();
  } catch (error) {
    assert.ok(
      error instanceof ReboxError || error instanceof RangeError,
      `${what}, seed ${SEED}: ${String((error as Error).stack)}`,
    );
  }
  const ms = performance.now() - start;
  if (ms > slowest.ms) slowest = { what, ms };
}

const KEYS = [
  "HKLM\\SYSTEM\\CurrentControlSet\\Services",
  "HKLM\\SYSTEM\\ControlSet001\\Control",
  "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run",
  "HKLM\\HARDWARE\\DESCRIPTION",
];
const PARTS = [
  ...(["commandLine", "environment", "executable", "workingFolder", "imageFile", "startTime", "threads"] as const),
  ...(["memoryMap", "handles", "token", "modules", "isAlive", "isWow64"] as const),
];

function readAll(guest: WindowsGuest): void {
  attempt("version", () => guest.version);
  attempt("clock", () => guest.clock);
  attempt("kernel modules", () => guest.symbols.getModules(0n));
  attempt("symbols", () => guest.symbols.findSymbol(0n, 0xfffff80010001000n));
  attempt("hives", () => guest.getHives());
  for (const key of KEYS) attempt(`key ${key}`, () => guest.findRegistryKey(key));
  attempt("callbacks", () => guest.getCallbacks());
  attempt("services", () => guest.getServices());
  attempt("views", () => guest.compareProcessViews());
  attempt("search", () => [...guest.symbols.search(0n, "*State*")]);
  let processes: ReturnType<WindowsGuest["getProcessList"]> = [];
  attempt("processes", () => (processes = guest.getProcessList()));
  for (const process of processes.slice(0, 50)) {
    for (const part of PARTS) attempt(part, () => process[part]);
    if (process.pgd === 0n) continue;
    attempt("user symbols", () => guest.symbols.findSymbol(process.pgd, 0x7ffb10001003n));
    attempt("user search", () => [...guest.symbols.search(process.pgd, "Ldr*")]);
  }
}

test(
  `${MUTATIONS} damaged words of memory lead to answers or documented errors, in bounded time`,
  { skip: WITHOUT_WINDOWS_TOOLS },
  () => {
    const numbers = random(SEED);
    const next = (below: number): number => numbers.next().value % below;
    // Most of the memory is zero, and nobody reads it.
    const used: number[] = [];
    for (let at = 0x300000; at + 8 <= memory.length; at += 8) if (memory.readBigUInt64LE(at) !== 0n) used.push(at);
    assert.ok(used.length > 5_000);
    let guest = attachWindows(image, { findSymbols })!;
    const isCareful = guest;
    let round = 0;
    for (let done = 0; done < MUTATIONS; done += MUTATIONS_OF_A_ROUND, round++) {
      const saved = new Map<number, bigint>();
      for (let count = 0; count < MUTATIONS_OF_A_ROUND; count++) {
        const at = used[next(used.length)]!;
        const old = memory.readBigUInt64LE(at);
        if (!saved.has(at)) saved.set(at, old);
        const values = [
          () => old ^ (1n << BigInt(next(64))),
          () => memory.readBigUInt64LE(used[next(used.length)]!),
          () => BigInt(next(0x10000)),
          () => 0xffffffffffffffffn,
          () => (BigInt(next(2 ** 31)) << 32n) | BigInt(next(2 ** 31)),
          () => BigInt.asUintN(64, old + BigInt(next(256)) - 128n),
        ];
        memory.writeBigUInt64LE(values[next(values.length)]!(), at);
      }
      if (round % ROUNDS_FOR_AN_ATTACH === 0) {
        attempt("diagnosis", () => diagnoseWindows(image, { findSymbols }));
        attempt("attach", () => (guest = attachWindows(image, { findSymbols }) ?? guest));
      }
      readAll(guest);
      for (const [at, value] of saved) memory.writeBigUInt64LE(value, at);
      guest = isCareful;
    }
    assert.ok(slowest.ms < LONGEST_CALL_MS, `${slowest.what} took ${slowest.ms} ms, seed ${SEED}`);
    console.log(`slowest: ${slowest.what}, ${slowest.ms.toFixed(1)} ms; seed ${SEED}`);
    // The memory is as it was: nothing of the damage is remembered.
    assert.equal(isCareful.getProcessList().length, 7);
  },
);
