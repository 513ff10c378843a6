import { ElfError } from "./elf-error";

/** A part of an ELF file that is mapped when it is loaded (elf(5): Elf64_Phdr). */
export interface ElfSegment {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly address: bigint;
  readonly fileSize: bigint;
  readonly memorySize: bigint;
}

/** What an ELF file says first (elf(5): Elf64_Ehdr). */
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
}

export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_NOTE = 4;
export const PF_X = 1;
export const PF_W = 2;
/** The size of the larger header, of 64-bit files. */
export const ELF_HEADER_SIZE = 64;
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
  if (bytes[4] !== 1 && bytes[4] !== 2) throw new ElfError(`an ELF file of the unknown class ${bytes[4]}`);
  if (bytes[5] !== 1) throw new ElfError("a big-endian ELF file: only x86 is known");
  const bits = bytes[4] === 2 ? 64 : 32;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < (bits === 64 ? 64 : 52)) throw new ElfError("the ELF file ends within its header");
  const half = (offset32: number, offset64: number): number => view.getUint16(bits === 64 ? offset64 : offset32, true);
  const word = (offset32: number, offset64: number): bigint =>
    bits === 64 ? view.getBigUint64(offset64, true) : BigInt(view.getUint32(offset32, true));
  const segmentSize = half(42, 54);
  const sectionSize = half(46, 58);
  return {
    bits,
    type: view.getUint16(16, true),
    machine: view.getUint16(18, true),
    entry: word(24, 24),
    segmentsOffset: toOffset(word(28, 32)),
    segmentSize,
    segmentCount: segmentSize < (bits === 64 ? 56 : 32) ? 0 : Math.min(half(44, 56), MOST_SEGMENTS),
    sectionsOffset: toOffset(word(32, 40)),
    sectionSize,
    sectionCount: sectionSize < (bits === 64 ? 64 : 40) ? 0 : Math.min(half(48, 60), MOST_SECTIONS),
  };
}

/** Parses the program headers; those of which bytes are missing are left out. */
export function parseElfSegments(header: ElfHeader, bytes: Uint8Array): ElfSegment[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const segments: ElfSegment[] = [];
  for (let index = 0; index < header.segmentCount; index++) {
    const at = index * header.segmentSize;
    if (at + (header.bits === 64 ? 56 : 32) > bytes.length) break;
    const word32 = (offset: number): number => view.getUint32(at + offset, true);
    const word64 = (offset: number): bigint => view.getBigUint64(at + offset, true);
    segments.push(
      header.bits === 64
        ? {
            type: word32(0),
            flags: word32(4),
            offset: word64(8),
            address: word64(16),
            fileSize: word64(32),
            memorySize: word64(40),
          }
        : {
            type: word32(0),
            flags: word32(24),
            offset: BigInt(word32(4)),
            address: BigInt(word32(8)),
            fileSize: BigInt(word32(16)),
            memorySize: BigInt(word32(20)),
          },
    );
  }
  return segments;
}

/** Offsets beyond what a file can have become one that nothing is read at. */
function toOffset(value: bigint): number {
  return value < 1n << 52n ? Number(value) : Number.MAX_SAFE_INTEGER;
}
