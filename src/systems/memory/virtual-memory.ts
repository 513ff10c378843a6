import { AddressError } from "../errors";
import type { PageTables } from "./page-tables";
import type { Ram } from "./ram";

/** A range of virtual addresses that is known to be mapped linearly, so that its pages need not be walked. */
export interface LinearRange {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
  /** The physical address of start. */
  readonly physical: number;
}

const PAGE = 0x1000;
const LARGEST_READ = 0x4000000;

/** Memory as part of a larger view: making a view of its own for every value that is read would take longer than reading. */
export interface MemoryPlace {
  readonly view: DataView;
  /** Its start in the view. */
  readonly offset: number;
}

/** One address space of the guest, read without copying where that is possible. */
export class VirtualMemory {
  /** The sizes of the linear ranges: a distance from a start is compared as a number, which is exact where it matters. */
  readonly #linearSizes: readonly number[];

  constructor(
    readonly ram: Ram,
    readonly tables: PageTables,
    /** The physical address of the highest page table. */
    readonly root: number,
    readonly linear: readonly LinearRange[] = [],
  ) {
    this.#linearSizes = linear.map(({ start, end }) => Number(end - start));
  }

  /** In bytes. */
  get pointerSize(): 4 | 8 {
    return this.tables.pointerSize;
  }

  /** Translates an address; -1 when nothing is mapped there. */
  translate(address: bigint): number {
    const physical = this.#translateLinear(address, 1);
    return physical >= 0 ? physical : this.tables.translate(this.root, address);
  }

  /**
   * Finds memory as part of a view, zero-copy where it lies in one piece, else of a copy.
   *
   * @param size in bytes, at most 64 MiB
   * @throws AddressError that names the first address that cannot be read
   */
  place(address: bigint, size: number): MemoryPlace {
    const linear = this.#translateLinear(address, size);
    const physical = linear >= 0 ? linear : this.tables.translate(this.root, address);
    if (physical >= 0 && (linear >= 0 || (physical % PAGE) + size <= PAGE)) {
      const found = this.ram.findView(physical, size);
      if (found) return found;
    }
    const bytes = this.read(address, size);
    return { view: new DataView(bytes.buffer, bytes.byteOffset, size), offset: 0 };
  }

  /**
   * Views memory, zero-copy where it lies in one piece, else as a copy.
   *
   * @param size in bytes, at most 64 MiB
   * @throws AddressError that names the first address that cannot be read
   */
  view(address: bigint, size: number): DataView {
    const { view, offset } = this.place(address, size);
    return new DataView(view.buffer, view.byteOffset + offset, size);
  }

  /**
   * Reads memory.
   *
   * @param size in bytes, at most 64 MiB
   * @returns a copy
   * @throws AddressError that names the first address that cannot be read
   */
  read(address: bigint, size: number): Buffer {
    if (!(size >= 0 && size <= LARGEST_READ)) {
      throw new RangeError(`size is ${size}: 0 to ${LARGEST_READ} bytes`);
    }
    const bytes = Buffer.allocUnsafe(size);
    const failure = this.#copy(address, bytes);
    if (failure) throw failure.error;
    return bytes;
  }

  /** Reads as much of the memory as can be read, from its start; at most 64 MiB. */
  readSome(address: bigint, size: number): Buffer {
    const bytes = Buffer.allocUnsafe(Math.min(size, LARGEST_READ));
    const failure = this.#copy(address, bytes);
    return failure ? bytes.subarray(0, failure.done) : bytes;
  }

  #copy(address: bigint, bytes: Buffer): { done: number; error: AddressError } | undefined {
    for (let done = 0; done < bytes.length;) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const physical = this.translate(at);
      if (physical < 0) return { done, error: new AddressError(at, "virtual", this.tables.explain(this.root, at)) };
      const part = Math.min(bytes.length - done, PAGE - (physical % PAGE));
      const found = this.ram.findBytes(physical, part);
      if (!found) return { done, error: new AddressError(BigInt(physical), "physical") };
      bytes.set(found, done);
      done += part;
    }
    return undefined;
  }

  /** Reads an unsigned byte. @throws AddressError */
  u8(address: bigint): number {
    const { view, offset } = this.place(address, 1);
    return view.getUint8(offset);
  }

  /** Reads an unsigned 16-bit word. @throws AddressError */
  u16(address: bigint): number {
    const { view, offset } = this.place(address, 2);
    return view.getUint16(offset, true);
  }

  /** Reads an unsigned 32-bit word. @throws AddressError */
  u32(address: bigint): number {
    const { view, offset } = this.place(address, 4);
    return view.getUint32(offset, true);
  }

  /** Reads an unsigned 64-bit word. @throws AddressError */
  u64(address: bigint): bigint {
    const { view, offset } = this.place(address, 8);
    return view.getBigUint64(offset, true);
  }

  /** Reads a pointer of the guest's own size. @throws AddressError */
  pointer(address: bigint): bigint {
    return this.pointerSize === 8 ? this.u64(address) : BigInt(this.u32(address));
  }

  /**
   * Reads text up to its NUL.
   *
   * @param maximum in bytes; longer text is cut there
   * @throws AddressError when its first byte cannot be read
   */
  text(address: bigint, maximum: number): string {
    const bytes = this.readSome(address, Math.min(maximum, PAGE));
    if (bytes.length === 0) throw new AddressError(address, "virtual");
    const end = bytes.indexOf(0);
    return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
  }

  /** Translates an address of a linear range that holds all of the size; -1 when there is none. */
  #translateLinear(address: bigint, size: number): number {
    for (let index = 0; index < this.linear.length; index++) {
      const range = this.linear[index] as LinearRange;
      const distance = Number(address - range.start);
      if (distance >= 0 && distance + size <= (this.#linearSizes[index] as number)) return range.physical + distance;
    }
    return -1;
  }
}
