import { readCoreNotes, writeCoreNotes } from "./core-notes";
import { ImageError } from "../../errors";
import type { FileBytes, ImageLayout, ImagePart } from "./image-layout";
import type { SavedCpu } from "./saved-cpu";

const ET_CORE = 4;
const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** elf(5): the number of program headers is in the first section header. */
const PN_XNUM = 0xffff;
const MOST_PARTS = 0x10000;
const LARGEST_NOTES = 64 * 1024 * 1024;
/** Memory begins at a page of the file, so that zero pages can be holes. */
const PAGE = 0x1000;
const TYPE_NAMES = ["an unknown kind", "an object file", "an executable", "a shared library or program"];

interface Segment {
  readonly type: number;
  readonly offset: number;
  /** Physical. */
  readonly address: number;
  readonly size: number;
}

/**
 * Reads the layout of an ELF core of a machine: those of QEMU, rebox, kdump and others.
 *
 * @throws ImageError when it is another kind of ELF file, is cut off, or does not fit together
 */
export function readElfCore(file: FileBytes): ImageLayout {
  const header = readPart(file, 0, 64, "header");
  const bits = header[4] === 2 ? 64 : 32;
  if (header[4] !== 1 && header[4] !== 2) throw new ImageError(`an ELF file of the unknown class ${header[4]}`);
  if (header[5] !== 1) throw new ImageError("a big-endian ELF core: only x86 machines are known");
  const type = header.readUInt16LE(16);
  if (type !== ET_CORE) {
    throw new ImageError(
      `an ELF file, but ${TYPE_NAMES[type] ?? TYPE_NAMES[0]} (type ${type}) and no core (type ${ET_CORE})`,
    );
  }
  const machine = header.readUInt16LE(18);
  if (machine !== EM_386 && machine !== EM_X86_64) {
    throw new ImageError(`an ELF core of another processor (machine ${machine}): only x86 is known`);
  }
  const segments = readSegments(file, header, bits);
  const parts = segments
    .filter(({ type: kind, size }) => kind === PT_LOAD && size > 0)
    .map(({ address, offset, size }): ImagePart => ({ address, offset, size }))
    .toSorted((a, b) => a.address - b.address);
  checkParts(parts, file.size);
  const notes = segments.filter(({ type: kind }) => kind === PT_NOTE);
  const noteBytes = notes.map(({ offset, size }) => {
    if (size > LARGEST_NOTES) throw new ImageError(`the core claims to have ${size} bytes of notes`);
    return readPart(file, offset, size, "notes");
  });
  const cpus = readCoreNotes(Buffer.concat(noteBytes), machine === EM_X86_64);
  return { format: "elf", parts, cpus };
}

function readPart(file: FileBytes, offset: number, size: number, what: string): Buffer {
  if (offset + size > file.size) {
    throw new ImageError(
      `the ELF core is cut off: its ${what} would end at ${offset + size}, the file ends at ${file.size}`,
    );
  }
  return file.read(offset, size);
}

function readSegments(file: FileBytes, header: Buffer, bits: 32 | 64): Segment[] {
  const word = (bytes: Buffer, at: number): number =>
    bits === 64 ? toNumber(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at);
  const at = word(header, bits === 64 ? 32 : 28);
  const size = header.readUInt16LE(bits === 64 ? 54 : 42);
  const least = bits === 64 ? 56 : 32;
  let count = header.readUInt16LE(bits === 64 ? 56 : 44);
  if (count === PN_XNUM) {
    // Its sh_info.
    const section = readPart(file, word(header, bits === 64 ? 40 : 32), bits === 64 ? 64 : 40, "section header");
    count = section.readUInt32LE(bits === 64 ? 44 : 28);
  }
  if (size < least || count === 0) throw new ImageError("the ELF core has no program headers, so no memory");
  if (count > MOST_PARTS) throw new ImageError(`the ELF core has ${count} program headers: more than ${MOST_PARTS}`);
  const table = readPart(file, at, size * count, "program headers");
  return Array.from({ length: count }, (_, index) => {
    const entry = table.subarray(index * size, index * size + least);
    return bits === 64
      ? { type: entry.readUInt32LE(0), offset: word(entry, 8), address: word(entry, 24), size: word(entry, 32) }
      : { type: entry.readUInt32LE(0), offset: word(entry, 4), address: word(entry, 12), size: word(entry, 16) };
  });
}

/** Clamps offsets that no file can have to the largest address. */
function toNumber(value: bigint): number {
  return value < 1n << 52n ? Number(value) : Number.MAX_SAFE_INTEGER;
}

/**
 * Checks that ranges of memory lie within the file and beside each other.
 *
 * @param parts in the order of their addresses
 * @throws ImageError
 */
export function checkParts(parts: readonly ImagePart[], fileSize: number): void {
  if (parts.length === 0) throw new ImageError("the image has no memory");
  let end = 0;
  for (const { address, offset, size } of parts) {
    const where = `the memory at 0x${address.toString(16)}`;
    if (!(address + size < 2 ** 52))
      throw new ImageError(`${where} is said to have ${size} bytes, which no machine has`);
    if (offset + size > fileSize) {
      throw new ImageError(
        `the image is cut off: ${where} would end at byte ${offset + size} of the file, which has ${fileSize}`,
      );
    }
    if (address < end) {
      throw new ImageError(
        `${where} is there twice: this is the core of a program, not of a machine, or it is damaged`,
      );
    }
    end = address + size;
  }
}

/**
 * Makes the beginning of an ELF core: as QEMU's dump-guest-memory, of 32 bits for a machine that is not in long mode and has
 * nothing above 4 GiB.
 *
 * @param ranges in the order of their addresses
 * @param vmcoreinfo what the machine's Linux says for readers of its memory
 * @returns the bytes in front of the memory, and where each range begins behind them
 */
export function writeElfCore(
  ranges: readonly { readonly address: number; readonly size: number }[],
  cpus: readonly SavedCpu[],
  vmcoreinfo?: Uint8Array,
): { readonly header: Buffer; readonly offsets: readonly number[] } {
  const isLong = cpus[0]?.isLong === true;
  const last = ranges.at(-1);
  const bits = isLong || (last !== undefined && last.address + last.size > 0xffffffff) ? 64 : 32;
  const notes = writeCoreNotes(cpus, isLong, vmcoreinfo);
  const headerSize = bits === 64 ? 64 : 52;
  const entrySize = bits === 64 ? 56 : 32;
  const notesAt = headerSize + entrySize * (ranges.length + 1);
  const header = Buffer.alloc(Math.ceil((notesAt + notes.length) / PAGE) * PAGE);
  header.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1]);
  header.writeUInt16LE(ET_CORE, 16);
  header.writeUInt16LE(isLong ? EM_X86_64 : EM_386, 18);
  header.writeUInt32LE(1, 20);
  const word = (value: number, at: number): unknown =>
    bits === 64 ? header.writeBigUInt64LE(BigInt(value), at) : header.writeUInt32LE(value, at);
  word(headerSize, bits === 64 ? 32 : 28);
  header.writeUInt16LE(headerSize, bits === 64 ? 52 : 40);
  header.writeUInt16LE(entrySize, bits === 64 ? 54 : 42);
  header.writeUInt16LE(ranges.length + 1, bits === 64 ? 56 : 44);
  const entry = (index: number, { type, offset, address, size }: Segment): void => {
    const at = headerSize + index * entrySize;
    header.writeUInt32LE(type, at);
    // Virtual and physical address are the same, as in QEMU's cores without -p; then the sizes in the file and in memory.
    const values = [offset, address, address, size, size];
    values.forEach((value, field) => word(value, at + (bits === 64 ? 8 + field * 8 : 4 + field * 4)));
  };
  entry(0, { type: PT_NOTE, offset: notesAt, address: 0, size: notes.length });
  let at = header.length;
  const offsets = ranges.map(({ address, size }, index) => {
    entry(index + 1, { type: PT_LOAD, offset: at, address, size });
    at += size;
    return at - size;
  });
  notes.copy(header, notesAt);
  return { header, offsets };
}
