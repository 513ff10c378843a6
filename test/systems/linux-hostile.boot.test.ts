import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  AddressError,
  AttachError,
  BtfError,
  KernelDataError,
  MissingSymbolError,
  MissingTypeError,
} from "../../src/systems/errors";
import type { CpuFacts } from "../../src/systems/memory/guest-source";
import { MemoryImage } from "../kit/memory-image";
import { BytePattern } from "../../src/systems/memory/search/byte-pattern";
import { Ram } from "../../src/systems/memory/ram";
import { attachLinux } from "../../src/systems/linux/attach/attach";
import { LinuxGuest } from "../../src/systems/linux/linux-guest";
import { runGuest } from "../kit/guests/guest-run";

/** How many words of memory are damaged in all; REBOX_FUZZ_MUTATIONS sets another number. */
const MUTATIONS = Number(process.env.REBOX_FUZZ_MUTATIONS ?? 100_000);
const MUTATIONS_OF_A_ROUND = 100;
/** So often the guest is attached to anew, with the damage done: that takes longest. */
const ROUNDS_FOR_AN_ATTACH = 12;
/** The image is read as a whole when the kernel is searched for: a word of it in so many bytes is damaged, too. */
const IMAGE_STEP = 4104;
/** Far more than what the slowest call takes on memory that is not damaged. */
const LONGEST_CALL_MS = 10_000;
const LARGEST_GROWTH = 400 * 1024 * 1024;

const NOTHING = new BytePattern(Buffer.from("this is nowhere"), "");
const DOCUMENTED = [AddressError, AttachError, BtfError, KernelDataError, MissingSymbolError, MissingTypeError];

interface Saved {
  readonly regions: readonly { address: number; size: number; at: number }[];
  readonly cpus: readonly Record<string, string | number>[];
}

/** A script that copies the guest's memory and registers to two files once it has reported. */
const save =
  (folder: string) =>
  (serial: string): string => `
  import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
  import { Engine, getNumCpus, readCpu, readPa, viewPa } from "rebox";
  export function initialize_callbacks(): void {
    const timer = setInterval(() => {
      if (!readFileSync(${JSON.stringify(serial)}, "latin1").includes("zoo.reported=")) return;
      clearInterval(timer);
      const regions = [{ address: 0, size: 0xa0000, at: 0 }, { address: 0x100000, size: (256 << 20) - 0x100000 - 0x20000, at: 0xa0000 }];
      const file = openSync(${JSON.stringify(join(folder, "ram"))}, "w");
      for (const { address, size } of regions) writeSync(file, readPa(BigInt(address), size));
      closeSync(file);
      const cpus = Array.from({ length: getNumCpus() }, (_, index) => readCpu(index)).map((cpu) => ({
        index: cpu.index, cr0: cpu.CR0, cr3: cpu.CR3, cr4: cpu.CR4, efer: cpu.EFER, lstar: cpu.LSTAR,
        sysenterEip: cpu.SYSENTER_EIP, idtBase: cpu.IDT_BASE, idtLimit: cpu.IDT_LIMIT }));
      writeFileSync(${JSON.stringify(join(folder, "registers"))}, JSON.stringify({ regions, cpus }, (_, value) => typeof value === "bigint" ? value.toString() : value));
      void Engine.get().quit();
    }, 50);
  }
  export const clean = (): void => {};
`;

function loadImage(folder: string): { image: MemoryImage; bytes: Uint8Array[]; addresses: number[] } {
  const { regions, cpus } = JSON.parse(readFileSync(join(folder, "registers"), "utf8")) as Saved;
  const file = openSync(join(folder, "ram"), "r");
  const parts = regions.map(({ address, size, at }) => {
    const bytes = new Uint8Array(size);
    readSync(file, bytes, 0, size, at);
    return { address, bytes };
  });
  closeSync(file);
  const facts = cpus.map((cpu) => {
    const entries = Object.entries(cpu).map(([name, value]) => [
      name,
      name === "index" || name === "idtLimit" ? Number(value) : BigInt(value),
    ]);
    return Object.fromEntries(entries) as CpuFacts;
  });
  return {
    image: new MemoryImage(parts, facts),
    bytes: parts.map(({ bytes }) => bytes),
    addresses: parts.map(({ address }) => address),
  };
}

/** Everything that can be asked of a guest, each question by itself. */
function* questions(guest: LinuxGuest): Iterable<() => unknown> {
  let processes: ReturnType<LinuxGuest["getProcessList"]> = [];
  yield () => (processes = guest.getProcessList());
  for (const process of processes.filter(({ isKernelThread }, index) => !isKernelThread || index % 16 === 0)) {
    yield () => process.credentials;
    yield () => process.commandLine;
    yield () => process.executable;
    yield () => process.threads;
    yield () => process.memoryMap;
    yield () => process.openFiles;
    yield () => process.sockets;
    yield () => process.mounts;
    yield () => process.startTime;
    yield () => (process.pgd === 0n ? [] : guest.symbols.getModules(process.pgd));
  }
  for (const { pgd } of processes.filter(({ pgd }) => pgd !== 0n).slice(-3)) {
    yield () => [...guest.symbols.search(pgd, "get*")];
    yield () => guest.symbols.findSymbol(pgd, 0x401234n);
  }
  for (const { name } of attemptOr([], () => guest.getKernelModules()))
    yield () => guest.getModuleTypes(name).findCompound("x");
  yield () => guest.clock;
  yield () => guest.getKernelLog();
  yield () => guest.getSockets();
  yield () => guest.getNeighbours();
  yield () => guest.getNetworkInterfaces();
  yield () => guest.getSocketOwners(processes);
  for (const process of processes.filter(({ pgd }) => pgd !== 0n).slice(-3)) {
    const search = (): boolean => process.createSearch([NOTHING], { maxLength: 1 << 20 }).step(Infinity);
    yield search;
    yield () => process.isAlive;
  }
  yield () => guest.getKernelModules();
  yield () => guest.symbols.getModules(0n);
  yield () => guest.kernel.symbols.findAddress("schedule");
  yield () => guest.symbols.findSymbol(0n, guest.kernel.image.start + 0x12345n);
  yield () => guest.symbols.findSymbol(0n, 0xffffffffc0200000n);
  yield () => {
    for (const task of guest.list(
      guest.kernel.symbol("init_task") + BigInt(guest.kernel.offset("task_struct", "tasks")),
      "task_struct",
      "tasks",
    )) {
      void task.comm;
      void task.mm?.exe_file?.f_path.dentry?.d_parent?.d_sb?.s_type;
    }
  };
}

function attemptOr<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** Tells whether the documents know this error. A RangeError is one only for what is not there any more. */
function isDocumented(error: unknown): boolean {
  const isGone = error instanceof RangeError && /^no (process has|kernel module .* is loaded)/.test(error.message);
  return isGone || DOCUMENTED.some((type) => error instanceof type);
}

/** A small generator with a seed, so that a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

describe("a guest whose kernel memory is damaged at random", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "rebox-fuzz-"));
    const run = await runGuest({ task: "zoo", parameters: { kallsyms: 0 }, script: save(folder), reports: true });
    assert.equal(run.stderr, "");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test(`${MUTATIONS} damaged words end in an answer or a documented error, in bounded time and memory`, (context) => {
    const { image, bytes, addresses } = loadImage(folder);
    const places = recordPlaces(() => {
      const guest = new LinuxGuest(attachLinux(image));
      for (const ask of questions(guest)) ask();
    });
    assert.ok(places.length > 5000, `${places.length} places`);
    const clean = new LinuxGuest(attachLinux(image));
    const { physical, size } = clean.kernel.image;
    for (let at = physical; at < physical + size; at += IMAGE_STEP) places.push(at);
    const expected = clean.getProcessList().length;
    const seed = Number(process.env.REBOX_FUZZ_SEED ?? 1);
    const random = createRandom(seed);
    const before = process.memoryUsage().rss;
    const count = { answers: 0, errors: 0, attaches: 0 };

    for (let round = 0; round * MUTATIONS_OF_A_ROUND < MUTATIONS; round++) {
      const undo = damage(places, bytes, addresses, random);
      const attaches = round % ROUNDS_FOR_AN_ATTACH === 0;
      const describeRound = `round ${round} of seed ${seed}`;
      let guest: LinuxGuest | undefined = attaches ? undefined : new LinuxGuest(clean.kernel);
      if (attaches) {
        attempt(() => (guest = new LinuxGuest(attachLinux(image))), describeRound, count);
        count.attaches++;
      }
      if (guest) for (const ask of questions(guest)) attempt(ask, describeRound, count);
      undo();
    }
    assert.equal(new LinuxGuest(attachLinux(image)).getProcessList().length, expected);
    const growth = process.memoryUsage().rss - before;
    context.diagnostic(
      `${count.answers} answers, ${count.errors} errors, ${count.attaches} attaches, ${(growth / 2 ** 20).toFixed(0)} MiB more`,
    );
    assert.ok(growth < LARGEST_GROWTH, `${growth} bytes more than before`);
    assert.ok(count.errors > 100 && count.answers > 100, JSON.stringify(count));
  });
});

function attempt(ask: () => unknown, round: string, count: { answers: number; errors: number }): void {
  const start = performance.now();
  try {
    ask();
    count.answers++;
  } catch (error) {
    count.errors++;
    if (!isDocumented(error)) {
      throw new Error(`${round}: ${(error as Error).stack} while asking ${ask.toString()}`, { cause: error });
    }
  }
  const took = performance.now() - start;
  assert.ok(took < LONGEST_CALL_MS, `${round}: ${took} ms for ${ask.toString()}`);
}

/** Lists the physical addresses of all small pieces of memory that are read meanwhile. */
function recordPlaces(read: () => void): number[] {
  const places = new Set<number>();
  const { findView, findBytes, findWord32 } = Ram.prototype;
  const record = (address: number, size: number): void => {
    for (let at = address - (address % 8); at < address + size && size <= 65536; at += 8) places.add(at);
  };
  Ram.prototype.findView = function (address, size) {
    record(address, size);
    return findView.call(this, address, size);
  };
  Ram.prototype.findBytes = function (address, size) {
    record(address, size);
    return findBytes.call(this, address, size);
  };
  Ram.prototype.findWord32 = function (address) {
    record(address, 4);
    return findWord32.call(this, address);
  };
  try {
    read();
  } finally {
    Object.assign(Ram.prototype, { findView, findBytes, findWord32 });
  }
  return [...places];
}

/** Damages words that are read, and returns what undoes it. */
function damage(
  places: readonly number[],
  bytes: readonly Uint8Array[],
  addresses: readonly number[],
  random: (below: number) => number,
): () => void {
  const saved: { view: DataView; at: number; word: bigint }[] = [];
  const find = (place: number): { view: DataView; at: number } | undefined => {
    const index = addresses.findIndex((address, i) => place >= address && place + 8 <= address + bytes[i]!.length);
    const region = bytes[index];
    return (
      region && { view: new DataView(region.buffer, region.byteOffset, region.length), at: place - addresses[index]! }
    );
  };
  for (let mutation = 0; mutation < MUTATIONS_OF_A_ROUND; mutation++) {
    const found = find(places[random(places.length)]!);
    if (!found) continue;
    const { view, at } = found;
    const word = view.getBigUint64(at, true);
    saved.push({ view, at, word });
    const other = find(places[random(places.length)]!);
    const values = [
      0n,
      0xffffffffffffffffn,
      1n << BigInt(random(64)),
      word ^ (1n << BigInt(random(64))),
      word + BigInt(random(4096)) * 8n,
      BigInt(random(0x1_0000_0000)),
      // A pointer that is valid somewhere else makes loops and takes one type for another.
      other?.view.getBigUint64(other.at, true) ?? 0n,
      (BigInt(random(0x1_0000_0000)) << 32n) | BigInt(random(0x1_0000_0000)),
    ];
    view.setBigUint64(at, BigInt.asUintN(64, values[random(values.length)]!), true);
  }
  return () => {
    for (const { view, at, word } of saved.reverse()) view.setBigUint64(at, word, true);
  };
}
