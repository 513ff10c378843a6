import type { Mapping } from "../../systems/linux/processes/memory-map";
import { USER_REGISTERS } from "./user-registers";

/** Types of notes of "CORE" (include/uapi/linux/elf.h). */
const NT_PRSTATUS = 1;
const NT_PRPSINFO = 3;
const NT_AUXV = 6;
const NT_FILE = 0x46494c45;
/** struct elf_prstatus and struct elf_prpsinfo of x86-64 (include/linux/elfcore.h). */
const STATUS_SIZE = 336;
const STATUS_REGISTERS = 112;
const INFO_SIZE = 136;
const PAGE = 4096n;

/** A thread of a process with its registers. */
export interface CoreThread {
  readonly tid: number;
  /** In the order of USER_REGISTERS. */
  readonly registers: readonly bigint[];
}

/** The facts of a process for the notes of a core. */
export interface CoreProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly commandLine: string;
  /** The words of the auxiliary vector, as they are. */
  readonly auxv: Uint8Array;
  readonly mappings: readonly Mapping[];
  /** The first one is the one that a debugger shows. */
  readonly threads: readonly CoreThread[];
  /** The signal that ends it; 0 for none. */
  readonly signal: number;
}

/** Makes the notes of a core of a process of 64 bits, as the kernel writes them (fs/binfmt_elf.c: fill_note_info()). */
export function makeProcessNotes(process: CoreProcess): Buffer {
  const [first, ...others] = process.threads.map((thread) => makeNote(NT_PRSTATUS, makeStatus(process, thread)));
  return Buffer.concat([
    ...(first === undefined ? [] : [first]),
    makeNote(NT_PRPSINFO, makeInfo(process)),
    makeNote(NT_AUXV, process.auxv),
    makeNote(NT_FILE, makeFiles(process.mappings)),
    ...others,
  ]);
}

function makeStatus({ ppid, signal }: CoreProcess, { tid, registers }: CoreThread): Buffer {
  const bytes = Buffer.alloc(STATUS_SIZE);
  bytes.writeUInt32LE(signal, 0);
  bytes.writeUInt16LE(signal, 12);
  bytes.writeUInt32LE(tid, 32);
  bytes.writeUInt32LE(ppid, 36);
  for (let index = 0; index < USER_REGISTERS.length; index++) {
    bytes.writeBigUInt64LE(BigInt.asUintN(64, registers[index] ?? 0n), STATUS_REGISTERS + index * 8);
  }
  return bytes;
}

function makeInfo({ pid, ppid, uid, gid, name, commandLine }: CoreProcess): Buffer {
  const bytes = Buffer.alloc(INFO_SIZE);
  bytes.write("R", 1, "latin1");
  [uid, gid, pid, ppid].forEach((value, index) => bytes.writeUInt32LE(value >>> 0, 16 + index * 4));
  bytes.write(name, 40, 15, "latin1");
  bytes.write(commandLine, 56, 79, "latin1");
  return bytes;
}

/** The files that are mapped: their number and the size of a page, places with offsets in pages, then the paths. */
function makeFiles(mappings: readonly Mapping[]): Buffer {
  const files = mappings.filter(({ file }) => file !== 0n);
  const words = [BigInt(files.length), PAGE, ...files.flatMap(({ start, end, offset }) => [start, end, offset / PAGE])];
  const table = Buffer.alloc(words.length * 8);
  words.forEach((word, index) => table.writeBigUInt64LE(word, index * 8));
  return Buffer.concat([table, Buffer.from(files.map(({ path }) => `${path.replaceAll("\0", "?")}\0`).join(""))]);
}

function makeNote(type: number, content: Uint8Array): Buffer {
  const bytes = Buffer.alloc(20 + Math.ceil(content.length / 4) * 4);
  bytes.writeUInt32LE(5, 0);
  bytes.writeUInt32LE(content.length, 4);
  bytes.writeUInt32LE(type, 8);
  bytes.write("CORE\0", 12, "latin1");
  bytes.set(content, 20);
  return bytes;
}
