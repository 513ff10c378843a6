import { closeSync, openSync, readSync } from "node:fs";

/** elf(5), and include/uapi/linux/elf.h of the kernel. */
const HEADER_SIZE = 64;
const ENTRY_SIZE = 56;
const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
const [ET_CORE, PT_LOAD, PT_NOTE] = [4, 1, 4];
const [NT_PRSTATUS, NT_FILE] = [1, 0x46494c45];
/** struct elf_prstatus of x86-64 (include/linux/elfcore.h). */
const STATUS = { size: 336, signal: 12, tid: 32, registers: 112 } as const;
/** struct user_regs_struct (arch/x86/include/asm/user_64.h). */
const REGISTERS = [
  ...["r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"],
  ...["orig_rax", "rip", "cs", "eflags", "rsp"],
] as const;
/** In bytes: what is larger is no core of a process. */
const LARGEST_NOTES = 16 << 20;
const MOST_SEGMENTS = 65_000;
const MOST_THREADS = 10_000;

/** A register's name in lower case, as debuggers write it. */
export type CoreRegister = (typeof REGISTERS)[number];

/** A thread of a process with its registers. */
export interface CoreThread {
  readonly tid: number;
  readonly registers: Readonly<Record<CoreRegister, bigint>>;
}

/** A part of the memory of a process, whose bytes the core has, or has not. */
export interface CoreSegment {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
  /** As "r-x". */
  readonly permissions: string;
  /** Where its bytes are in the file; how many are there from its start on. */
  readonly offset: number;
  readonly size: number;
}

/** A range of a process' memory that has one file, or none. */
export interface CoreMapping extends Pick<CoreSegment, "start" | "end" | "permissions"> {
  /** The file's path; empty without one. */
  readonly path: string;
  /** Bytes that the core has of it. */
  readonly size: number;
  /** The first address of which the core has bytes; undefined when it has none. */
  readonly first: bigint | undefined;
}

/** The memory of a process. */
export interface CoreFile {
  /** The signal that ended it; 0 for none. */
  readonly signal: number;
  /** The one that ended it comes first. */
  readonly threads: readonly CoreThread[];
  /** In the order of their addresses. */
  readonly segments: readonly CoreSegment[];
  readonly mappings: readonly CoreMapping[];
}

interface MappedFile {
  readonly start: bigint;
  readonly end: bigint;
  readonly path: string;
}

/** Reads the index of an ELF core of a process of x86-64: the memory itself stays in the file. @returns undefined for a file that is none, or is damaged */
export function readCoreFile(path: string): CoreFile | undefined {
  const descriptor = openSync(path, "r");
  try {
    const read = (offset: number, size: number): Buffer | undefined => {
      const bytes = Buffer.alloc(size);
      return readSync(descriptor, bytes, 0, size, offset) === size ? bytes : undefined;
    };
    const head = read(0, HEADER_SIZE);
    if (!head?.subarray(0, MAGIC.length).equals(MAGIC) || head.readUInt16LE(16) !== ET_CORE) return undefined;
    const [at, size, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
    const table = size === ENTRY_SIZE && count <= MOST_SEGMENTS ? read(at, size * count) : undefined;
    if (table === undefined) return undefined;
    const segments: CoreSegment[] = [];
    let notes: Buffer | undefined;
    for (let entry = 0; entry < table.length; entry += ENTRY_SIZE) {
      const kind = table.readUInt32LE(entry);
      const word = (index: number) => Number(table.readBigUInt64LE(entry + 8 * index));
      if (kind === PT_NOTE && word(4) <= LARGEST_NOTES) notes = read(word(1), word(4));
      if (kind === PT_LOAD) segments.push(readSegment(table.subarray(entry, entry + ENTRY_SIZE)));
    }
    segments.sort((one, other) => (one.start < other.start ? -1 : 1));
    return notes === undefined ? undefined : { ...readNotes(notes, segments), segments };
  } catch (error) {
    // A length or place in it leads out of it.
    if (error instanceof RangeError) return undefined;
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

function readSegment(entry: Buffer): CoreSegment {
  const flags = entry.readUInt32LE(4);
  const start = entry.readBigUInt64LE(16);
  const letter = (flag: number, text: string): string => ((flags & flag) !== 0 ? text : "-");
  return {
    ...{ start, end: start + entry.readBigUInt64LE(40), permissions: letter(4, "r") + letter(2, "w") + letter(1, "x") },
    ...{ offset: Number(entry.readBigUInt64LE(8)), size: Number(entry.readBigUInt64LE(32)) },
  };
}

function readNotes(notes: Buffer, segments: readonly CoreSegment[]): Omit<CoreFile, "segments"> {
  const threads: CoreThread[] = [];
  let signal: number | undefined;
  let files: readonly MappedFile[] = [];
  for (let at = 0; at + 12 <= notes.length;) {
    const [nameSize, size, type] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4), notes.readUInt32LE(at + 8)];
    const content = at + 12 + Math.ceil(nameSize / 4) * 4;
    const bytes = notes.subarray(content, content + size);
    if (type === NT_PRSTATUS && bytes.length >= STATUS.size && threads.length < MOST_THREADS) {
      signal ??= bytes.readUInt16LE(STATUS.signal);
      const values = REGISTERS.map((name, index) => [name, bytes.readBigUInt64LE(STATUS.registers + 8 * index)]);
      threads.push({ tid: bytes.readUInt32LE(STATUS.tid), registers: Object.fromEntries(values) as CoreThread["registers"] }); // prettier-ignore
    }
    if (type === NT_FILE) files = readFiles(bytes);
    at = content + Math.ceil(size / 4) * 4;
  }
  return { signal: signal ?? 0, threads, mappings: joinMappings(segments, files) };
}

/** The kernel's form: fs/binfmt_elf.c, fill_files_note(). */
function readFiles(bytes: Buffer): MappedFile[] {
  const count = Number(bytes.readBigUInt64LE(0));
  if (count > MOST_SEGMENTS) return [];
  const paths = bytes.toString("utf8", 16 + 24 * count).split("\0");
  return Array.from({ length: count }, (_, index) => ({
    start: bytes.readBigUInt64LE(16 + 24 * index),
    end: bytes.readBigUInt64LE(24 + 24 * index),
    path: paths[index] ?? "",
  }));
}

/** Joins segments behind each other: a mapping has several where not all of its pages were in memory. */
function joinMappings(segments: readonly CoreSegment[], files: readonly MappedFile[]): CoreMapping[] {
  const joined: { start: bigint; end: bigint; permissions: string; path: string; size: number; first: bigint | undefined }[] = []; // prettier-ignore
  let next = 0;
  const sorted = files.toSorted((one, other) => (one.start < other.start ? -1 : 1));
  for (const { start, end, permissions, size } of segments) {
    while (next < sorted.length && sorted[next]!.end <= start) next++;
    const file = sorted[next];
    const path = file !== undefined && file.start <= start ? file.path : "";
    const last = joined.at(-1);
    if (last?.end === start && last.permissions === permissions && last.path === path) {
      last.end = end;
      last.size += size;
      last.first ??= size > 0 ? start : undefined;
    } else joined.push({ start, end, permissions, path, size, first: size > 0 ? start : undefined });
  }
  return joined;
}
