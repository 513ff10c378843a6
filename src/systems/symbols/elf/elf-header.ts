import { ElfError } from "../../errors";

/** A part of an ELF file that is mapped when it is loaded (elf(5): Elf64_Phdr). */
export interface ElfSegment {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly address: bigint;
  readonly fileSize: bigint;
  readonly memorySize: bigint;
}

/** The header of an ELF file (elf(5): Elf64_Ehdr). */
export interface ElfHeader {
  readonly bits: 32 | 64;
  /** 1 relocatable, 2 executable, 3 shared or position-independent. */
  readonly type: number;
  /** 3 for i386, 62 for x86-64. */
  readonly machine: number;
  readonly entry: bigint;
  readonly segmentsOffset: number;
  readonly segmentSize: number;
  readonly segmentCount: number;
  readonly sectionsOffset: number;
  readonly sectionSize: number;
  readonly sectionCount: number;
  /** The index of the section that holds the names of sections. */
  readonly sectionNames: number;
}

/** The offsets of members within the file's structs, which differ with the width of addresses. */
interface ElfLayout {
  /** Elf32_Ehdr, Elf64_Ehdr; the members before e_phoff lie at the same offsets in both. */
  readonly header: Readonly<
    Record<"size" | "phoff" | "shoff" | "phentsize" | "phnum" | "shentsize" | "shnum" | "shstrndx", number>
  >;
  /** Elf32_Phdr, Elf64_Phdr. */
  readonly segment: Readonly<Record<"size" | "type" | "flags" | "offset" | "vaddr" | "filesz" | "memsz", number>>;
  /** Elf32_Shdr, Elf64_Shdr. */
  readonly section: Readonly<
    Record<"size" | "name" | "type" | "flags" | "address" | "offset" | "bytes" | "link", number>
  >;
}

/** System V ABI, chapters 4 and 5; <elf.h>. */
export const ELF_LAYOUT: Readonly<Record<32 | 64, ElfLayout>> = {
  32: {
    header: { size: 52, phoff: 28, shoff: 32, phentsize: 42, phnum: 44, shentsize: 46, shnum: 48, shstrndx: 50 },
    segment: { size: 32, type: 0, flags: 24, offset: 4, vaddr: 8, filesz: 16, memsz: 20 },
    section: { size: 40, name: 0, type: 4, flags: 8, address: 12, offset: 16, bytes: 20, link: 24 },
  },
  64: {
    header: { size: 64, phoff: 32, shoff: 40, phentsize: 54, phnum: 56, shentsize: 58, shnum: 60, shstrndx: 62 },
    segment: { size: 56, type: 0, flags: 4, offset: 8, vaddr: 16, filesz: 32, memsz: 40 },
    section: { size: 64, name: 0, type: 4, flags: 8, address: 16, offset: 24, bytes: 32, link: 40 },
  },
};
const E_CLASS = 4;
const E_DATA = 5;
const E_TYPE = 16;
const E_MACHINE = 18;
const E_ENTRY = 24;

export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const PF_X = 1;
export const PF_W = 2;
/** The size of the larger header, of 64-bit files. */
export const ELF_HEADER_SIZE = ELF_LAYOUT[64].header.size;
/** The linker makes about a dozen. */
const MOST_SEGMENTS = 256;
/** A kernel module with a section for each function has some thousands. */
const MOST_SECTIONS = 65535;

/**
 * Parses the header.
 *
 * @param bytes the first 64 bytes of the file; 52 are enough for a 32-bit one
 * @throws ElfError
 */
export function parseElfHeader(bytes: Uint8Array): ElfHeader {
  if (bytes.length < 16 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    throw new ElfError("this is no ELF file: it does not begin with its magic number");
  }
  if (bytes[E_CLASS] !== 1 && bytes[E_CLASS] !== 2) {
    throw new ElfError(`an ELF file of the unknown class ${bytes[E_CLASS]}`);
  }
  if (bytes[E_DATA] !== 1) throw new ElfError("a big-endian ELF file: only x86 is known");
  const bits = bytes[E_CLASS] === 2 ? 64 : 32;
  const { header: at, segment, section } = ELF_LAYOUT[bits];
  if (bytes.length < at.size) throw new ElfError("the ELF file ends within its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const half = (offset: number): number => view.getUint16(offset, true);
  const word = (offset: number): bigint => readElfWord(view, bits, offset);
  const segmentSize = half(at.phentsize);
  const sectionSize = half(at.shentsize);
  return {
    bits,
    type: half(E_TYPE),
    machine: half(E_MACHINE),
    entry: word(E_ENTRY),
    segmentsOffset: toOffset(word(at.phoff)),
    segmentSize,
    segmentCount: segmentSize < segment.size ? 0 : Math.min(half(at.phnum), MOST_SEGMENTS),
    sectionsOffset: toOffset(word(at.shoff)),
    sectionSize,
    sectionCount: sectionSize < section.size ? 0 : Math.min(half(at.shnum), MOST_SECTIONS),
    sectionNames: half(at.shstrndx),
  };
}

/** Reads a number of the width of the file's addresses. */
export function readElfWord(view: DataView, bits: 32 | 64, offset: number): bigint {
  return bits === 64 ? view.getBigUint64(offset, true) : BigInt(view.getUint32(offset, true));
}

/** Parses the program headers; those of which bytes are missing are left out. */
export function parseElfSegments(header: ElfHeader, bytes: Uint8Array): ElfSegment[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const layout = ELF_LAYOUT[header.bits].segment;
  const segments: ElfSegment[] = [];
  for (let index = 0; index < header.segmentCount; index++) {
    const at = index * header.segmentSize;
    if (at + layout.size > bytes.length) break;
    const word = (offset: number): bigint => readElfWord(view, header.bits, at + offset);
    segments.push({
      type: view.getUint32(at + layout.type, true),
      flags: view.getUint32(at + layout.flags, true),
      offset: word(layout.offset),
      address: word(layout.vaddr),
      fileSize: word(layout.filesz),
      memorySize: word(layout.memsz),
    });
  }
  return segments;
}

/** Offsets beyond what a file can have become one that nothing is read at. */
function toOffset(value: bigint): number {
  return value < 1n << 52n ? Number(value) : Number.MAX_SAFE_INTEGER;
}
