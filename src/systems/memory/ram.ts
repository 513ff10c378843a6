import type { GuestSource } from "./guest-source";

const PAGE = 0x1000;

interface Region {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** The guest's physical memory, read without copying. Addresses are numbers: they are below 2 to the 52. */
export class Ram {
  readonly #source: GuestSource;
  #regions: readonly Region[] = [];
  #last: Region | undefined;

  constructor(source: GuestSource) {
    this.#source = source;
  }

  /**
   * Finds RAM as a view of the region that holds it.
   *
   * @param address guest-physical
   * @param size in bytes; all of them lie in one region
   */
  findView(address: number, size: number): { readonly view: DataView; readonly offset: number } | undefined {
    const region = this.#find(address, size);
    return region && { view: region.view, offset: address - region.start };
  }

  /** Finds RAM as bytes that lie over it; undefined when it is not within one region. */
  findBytes(address: number, size: number): Uint8Array | undefined {
    const region = this.#find(address, size);
    return region?.bytes.subarray(address - region.start, address - region.start + size);
  }

  /**
   * Copies RAM, also where it lies in several regions that touch: QEMU cuts memory by its backends, and at every GiB.
   *
   * @param address guest-physical
   * @param size in bytes
   * @returns undefined when a part of it is no RAM
   */
  copyBytes(address: number, size: number): Uint8Array | undefined {
    const copy = new Uint8Array(size);
    for (let done = 0; done < size;) {
      const region = this.#find(address + done, 1);
      if (!region) return undefined;
      const from = address + done - region.start;
      const part = region.bytes.subarray(from, from + size - done);
      copy.set(part, done);
      done += part.length;
    }
    return copy;
  }

  /** Finds a little-endian 32-bit word; -1 when there is no RAM. */
  findWord32(address: number): number {
    const region = this.#find(address, 4);
    return region ? region.view.getUint32(address - region.start, true) : -1;
  }

  /** The highest address of RAM, plus one. */
  get end(): number {
    this.#refresh();
    return this.#regions.at(-1)?.end ?? 0;
  }

  /** The same, as of when the list of RAM was read last, which takes no time. */
  get knownEnd(): number {
    if (this.#regions.length === 0) this.#refresh();
    return this.#regions.at(-1)?.end ?? 0;
  }

  #find(address: number, size: number): Region | undefined {
    const last = this.#last;
    if (last && address >= last.start && address + size <= last.end) {
      return last;
    }
    let region = this.#search(address, size);
    if (!region) {
      this.#refresh();
      region = this.#search(address, size);
    }
    this.#last = region ?? last;
    return region;
  }

  #search(address: number, size: number): Region | undefined {
    // A crash dump of a kernel's pages has ten thousands of regions.
    let [low, high] = [0, this.#regions.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#regions[middle] as Region).start <= address) low = middle + 1;
      else high = middle;
    }
    const region = this.#regions[low - 1];
    return region && address + size <= region.end ? region : undefined;
  }

  #refresh(): void {
    this.#regions = this.#source
      .regions()
      .map(({ address, bytes }) => ({
        start: address,
        end: address + bytes.length,
        bytes,
        view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
      }))
      .sort((a, b) => a.start - b.start);
  }
}

/** A stretch of physical memory. */
export interface RamRange {
  readonly address: number;
  /** In bytes. */
  readonly size: number;
}

/**
 * Lists the addresses of the pages that stretches of memory touch, each once. In a file, memory need not begin at a page, so
 * that a stretch may begin or end within one.
 *
 * @param spans in the order of their addresses
 */
export function* listPages(spans: readonly RamRange[]): Generator<number> {
  let next = 0;
  for (const { address, size } of spans) {
    let page = Math.max(next, Math.floor(address / PAGE) * PAGE);
    for (; page < address + size; page += PAGE) yield page;
    next = page;
  }
}
