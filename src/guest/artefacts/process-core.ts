import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { LinuxProcess } from "../../systems/linux/linux-process";
import type { Mapping } from "../../systems/linux/processes/memory-map";
import { ResidentPages } from "../../systems/memory/resident-pages";
import { type CoreThread, makeProcessNotes } from "./process-core-notes";
import { UserRegisters } from "./user-registers";

const PAGE = 4096;
const HEADER_SIZE = 64;
const ENTRY_SIZE = 56;
/** elf(5). */
const [ET_CORE, EM_X86_64, PT_LOAD, PT_NOTE] = [4, 62, 1, 4];
/** The number of program headers that fits into the header; a program with as many mappings is not a usual one. */
const MOST_SEGMENTS = 60_000;
const LONGEST_AUXV = 1024;
/** More threads are left out. */
const MOST_THREADS = 10_000;

/** A core that was written. */
export interface ProcessCore {
  /** Bytes of memory in it. */
  readonly memory: number;
  readonly threads: number;
}

/** A part of the memory: pages behind each other that are in RAM, or a gap between them. */
interface Segment {
  readonly start: bigint;
  readonly end: bigint;
  readonly flags: number;
  readonly pieces: readonly { readonly address: bigint; readonly bytes: Uint8Array }[];
}

/**
 * Writes the memory of a process of 64 bits as an ELF core, as the kernel would: registers of all threads, mappings with their
 * files, the auxiliary vector. Pages that are not in RAM are not in it. The guest must be paused in the meantime, and is while
 * JavaScript runs.
 *
 * @param path of a file that is not there yet
 * @param options.mostBytes of memory; more is refused
 * @param options.first the thread that a debugger is to show; the first one without it
 * @param options.signal that ends the process; 0 for none
 * @throws KernelDataError when it has no memory, is of 32 bits, or has too much
 */
export function writeProcessCore(
  guest: LinuxGuest,
  process: LinuxProcess,
  path: string,
  { mostBytes, first, signal = 0 }: { readonly mostBytes: number; readonly first?: bigint; readonly signal?: number },
): ProcessCore {
  const refuse = (why: string) => new KernelDataError("the memory of a process", process.kaddr, why);
  if (guest.kernel.bits !== 64) throw refuse("cores are written of processes of 64 bits only");
  const { memoryMap: mappings } = process;
  if (mappings.length === 0) throw refuse(`process ${process.pid} has none`);
  const segments = listSegments(guest, process, mappings);
  if (segments.length > MOST_SEGMENTS) throw refuse(`it lies in ${segments.length} pieces`);
  const memory = segments.reduce((sum, { pieces }) => sum + sizeOf(pieces), 0);
  if (memory > mostBytes) throw refuse(`it has ${memory} bytes, more than ${mostBytes}`);
  const mm = guest.kernel.at("task_struct", process.livingThread.kaddr).follow("mm");
  if (mm === undefined) throw refuse(`process ${process.pid} has given it up`);
  const threads = readThreads(guest, process, first);
  const { uid, gid } = process.credentials;
  const { pid, ppid, name } = process;
  const notes = makeProcessNotes({
    ...{ pid, ppid, uid, gid, name, mappings, threads, signal, commandLine: process.commandLine.join(" ") },
    auxv: readAuxv(guest.kernel.memory.readSome(mm.addressOf("saved_auxv"), LONGEST_AUXV)),
  });
  writeFile(path, notes, segments);
  return { memory, threads: threads.length };
}

function listSegments(guest: LinuxGuest, process: LinuxProcess, mappings: readonly Mapping[]): Segment[] {
  const { kernel } = guest;
  const pages = new ResidentPages(kernel.ram, kernel.image.tables.mode);
  const { pgd } = process.livingThread;
  return mappings.flatMap(({ start, end, permissions }) => {
    // The page of old system calls belongs to the kernel.
    if (start >= 1n << 63n) return [];
    const flags =
      (permissions[0] === "r" ? 4 : 0) | (permissions[1] === "w" ? 2 : 0) | (permissions[2] === "x" ? 1 : 0);
    const segments: Segment[] = [];
    let pieces: { address: bigint; bytes: Uint8Array }[] = [];
    let from = start;
    let at = start;
    const cut = (to: bigint) => {
      if (to > from) segments.push({ start: from, end: to, flags, pieces });
      [from, pieces] = [to, []];
    };
    for (const { address, size, bytes } of pages.walk(Number(pgd), start, end)) {
      if (bytes === undefined || size === 0) continue;
      if (address !== at || (pieces.length === 0 && address > from)) {
        cut(at);
        cut(address);
      }
      pieces.push({ address, bytes });
      at = address + BigInt(size);
    }
    cut(at);
    cut(end);
    return segments;
  });
}

function readThreads(guest: LinuxGuest, process: LinuxProcess, first: bigint | undefined): CoreThread[] {
  const registers = new UserRegisters(guest);
  const threads: CoreThread[] = [];
  for (const thread of process.threads) {
    if (thread.mm === 0n || threads.length >= MOST_THREADS) continue;
    const values = registers.read(thread);
    if (values === undefined) continue;
    const one = { tid: thread.tid, registers: values };
    if (thread.kaddr === first) threads.unshift(one);
    else threads.push(one);
  }
  return threads;
}

/** Up to the pair that ends it, AT_NULL. */
function readAuxv(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    if (view.getBigUint64(at, true) === 0n) return bytes.slice(0, at + 16);
  }
  return bytes.slice(0, 0);
}

function writeFile(path: string, notes: Buffer, segments: readonly Segment[]): void {
  const notesAt = HEADER_SIZE + ENTRY_SIZE * (segments.length + 1);
  const head = Buffer.alloc(Math.ceil((notesAt + notes.length) / PAGE) * PAGE);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.writeUInt16LE(ET_CORE, 16);
  head.writeUInt16LE(EM_X86_64, 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(HEADER_SIZE), 32);
  [HEADER_SIZE, ENTRY_SIZE, segments.length + 1].forEach((value, index) => head.writeUInt16LE(value, 52 + index * 2));
  const entry = (index: number, type: number, flags: number, words: readonly (number | bigint)[]): void => {
    const at = HEADER_SIZE + index * ENTRY_SIZE;
    head.writeUInt32LE(type, at);
    head.writeUInt32LE(flags, at + 4);
    words.forEach((word, field) => head.writeBigUInt64LE(BigInt(word), at + 8 + field * 8));
  };
  entry(0, PT_NOTE, 0, [notesAt, 0, 0, notes.length, 0, 4]);
  let offset = head.length;
  segments.forEach(({ start, end, flags, pieces }, index) => {
    const size = sizeOf(pieces);
    entry(index + 1, PT_LOAD, flags, [offset, start, 0, size, end - start, PAGE]);
    offset += size;
  });
  notes.copy(head, notesAt);
  const file = openSync(path, "wx", 0o600);
  try {
    write(file, head);
    for (const { pieces } of segments) for (const { bytes } of pieces) write(file, bytes);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

function write(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

function sizeOf(pieces: Segment["pieces"]): number {
  return pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
