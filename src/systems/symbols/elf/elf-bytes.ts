import { ElfError } from "../../errors";
import {
  ELF_HEADER_SIZE,
  type ElfHeader,
  type ElfSegment,
  parseElfHeader,
  parseElfSegments,
  PT_LOAD,
} from "./elf-header";
import { type ElfSource, readWithHoles } from "./elf-source";

/** More than any string table of a program; a vmlinux has about 10 MiB. */
const LARGEST_TABLE = 0x4000000;
const ADDRESS_MASK = (1n << 64n) - 1n;

/** The bytes of an ELF file, by offset in the file and by the address that the file itself gives them. */
export class ElfBytes {
  readonly header: ElfHeader;
  readonly segments: readonly ElfSegment[];
  readonly loads: readonly ElfSegment[];
  /** The distance from the file's own addresses to those of the process; 0 when it is not known to be mapped. */
  readonly bias: bigint;
  readonly #source: ElfSource;

  /** @throws ElfError when there is no readable ELF header */
  constructor(source: ElfSource) {
    this.#source = source;
    const base = source.base;
    // Before the program headers are known, the file's start is all that has a known place in memory.
    const readStart = (offset: number, size: number): Uint8Array | undefined =>
      source.readFile?.(offset, size) ??
      (base === undefined ? undefined : source.readMemory?.(base + BigInt(offset), size));
    const start = readStart(0, ELF_HEADER_SIZE) ?? readStart(0, 52);
    if (start === undefined) throw new ElfError("the header of the ELF file cannot be read");
    this.header = parseElfHeader(start);
    const { segmentsOffset, segmentSize, segmentCount } = this.header;
    const table = readWithHoles(BigInt(segmentsOffset), segmentSize * segmentCount, (offset, size) =>
      readStart(Number(offset), size),
    );
    this.segments = parseElfSegments(this.header, table.bytes);
    this.loads = this.segments.filter(({ type }) => type === PT_LOAD);
    const first = this.loads.find(({ offset, fileSize }) => offset < 4096n && fileSize > 0n);
    this.bias = base === undefined || !first ? 0n : (base - (first.address - first.offset)) & ADDRESS_MASK;
  }

  /** Reads a part of the file by its offset; what cannot be read is zero. Undefined when nothing of it can be read. */
  findAt(offset: number, size: number): Uint8Array | undefined {
    if (size <= 0 || size > LARGEST_TABLE || !Number.isSafeInteger(offset + size)) return undefined;
    const { bytes, found } = readWithHoles(BigInt(offset), size, (at, part) => this.#readOffset(Number(at), part));
    return found > 0 ? bytes : undefined;
  }

  /** Reads by the file's own addresses; what cannot be read is zero. Undefined when nothing of it can be read. */
  findAddress(address: bigint, size: number): Uint8Array | undefined {
    if (size <= 0 || size > LARGEST_TABLE) return undefined;
    const end = address + BigInt(size);
    let whole: Uint8Array | undefined;
    let found = 0;
    // What is asked for may be in parts of the file that lie one behind the other, and reach beyond the end of what the file has.
    for (let at = address; at < end;) {
      const load = this.segmentOf(at);
      const inFile = load === undefined ? end : load.address + load.fileSize;
      if (inFile <= at) break;
      const part = Number((inFile < end ? inFile : end) - at);
      const piece = readWithHoles(at, part, (from, length) => this.#readAddress(from, length));
      if (part === size) return piece.found === 0 ? undefined : piece.bytes;
      whole ??= new Uint8Array(size);
      whole.set(piece.bytes, Number(at - address));
      found += piece.found;
      at += BigInt(part);
    }
    return found === 0 ? undefined : whole;
  }

  /** Reads by the file's own addresses; undefined when a part of it cannot be read. */
  findWhole(address: bigint, size: number): Uint8Array | undefined {
    if (size <= 0 || size > LARGEST_TABLE) return undefined;
    const { bytes, found } = readWithHoles(address, size, (at, part) => this.#readAddress(at, part));
    return found === size ? bytes : undefined;
  }

  /** Reads what a process has in memory at one of the file's own addresses; undefined when a part of it cannot be read. */
  findMapped(address: bigint, size: number): Uint8Array | undefined {
    if (size <= 0 || size > LARGEST_TABLE) return undefined;
    const bytes = this.#readMemory(address, size);
    return bytes?.length === size ? bytes : undefined;
  }

  /** Finds the part of the file that an address of the file's own is in. */
  segmentOf(address: bigint): ElfSegment | undefined {
    return this.loads.find((load) => address >= load.address && address - load.address < load.memorySize);
  }

  /**
   * Converts a pointer of the dynamic section into an address of the file's own: the dynamic loader of x86 adds the bias to
   * those in memory.
   */
  toOwnAddress(pointer: bigint): bigint {
    if (this.segmentOf(pointer) !== undefined) return pointer;
    const unbiased = (pointer - this.bias) & (this.header.bits === 64 ? ADDRESS_MASK : 0xffffffffn);
    return this.segmentOf(unbiased) === undefined ? pointer : unbiased;
  }

  #readOffset(offset: number, size: number): Uint8Array | undefined {
    const bytes = this.#source.readFile?.(offset, size);
    if (bytes !== undefined) return bytes;
    const load = this.loads.find(
      (one) => BigInt(offset) >= one.offset && BigInt(offset + size) <= one.offset + one.fileSize,
    );
    return load && this.#readMemory(load.address + BigInt(offset) - load.offset, size);
  }

  #readAddress(address: bigint, size: number): Uint8Array | undefined {
    const load = this.segmentOf(address);
    if (load && address + BigInt(size) <= load.address + load.fileSize) {
      const offset = load.offset + address - load.address;
      const bytes = offset < 1n << 52n ? this.#source.readFile?.(Number(offset), size) : undefined;
      if (bytes !== undefined) return bytes;
    }
    return this.#readMemory(address, size);
  }

  #readMemory(address: bigint, size: number): Uint8Array | undefined {
    if (this.#source.base === undefined) return undefined;
    return this.#source.readMemory?.((address + this.bias) & ADDRESS_MASK, size);
  }
}
