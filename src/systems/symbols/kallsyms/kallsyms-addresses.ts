import type { KallsymsLocation } from "./kallsyms-location";

/** The kernel image is within 2 GiB of its start in every layout. */
const LARGEST_DISTANCE = 0x80000000;

/** The addresses of all kernel symbols, in rising order. */
export class KallsymsAddresses {
  private constructor(
    /** The virtual address of the image. */
    readonly start: bigint,
    /** The number of symbols at the beginning that are small numbers instead of addresses: places in per-CPU memory. */
    readonly absoluteCount: number,
    /** The absolute symbols' values, then distances from start. */
    readonly values: Float64Array,
  ) {}

  /**
   * Reads the addresses.
   *
   * @param bytes the kernel image
   * @param start its virtual address
   * @returns undefined when what lies there cannot be rising addresses
   */
  static decode(
    bytes: Uint8Array,
    start: bigint,
    pointerSize: 4 | 8,
    location: KallsymsLocation,
  ): KallsymsAddresses | undefined {
    const { symbolCount, addresses, addressing } = location;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const width = addressing === "absolute64" ? 8 : 4;
    const hasBase = addressing === "percpu" || addressing === "base";
    if (addresses < 0 || addresses + symbolCount * width > bytes.length) return undefined;
    if (hasBase && (location.base < 0 || location.base + pointerSize > bytes.length)) return undefined;
    const values = new Float64Array(symbolCount);
    const readBase = (): bigint =>
      pointerSize === 8 ? view.getBigUint64(location.base, true) : BigInt(view.getUint32(location.base, true));
    const base = hasBase ? Number(BigInt.asIntN(64, readBase() - start)) : 0;
    if (Math.abs(base) > LARGEST_DISTANCE) return undefined;
    const start32 = Number(start & 0xffffffffn);
    let absoluteCount = 0;
    let before = -Infinity;
    for (let symbol = 0; symbol < symbolCount; symbol++) {
      const at = addresses + symbol * width;
      let value: number;
      if (addressing === "percpu") {
        const offset = view.getInt32(at, true);
        if (offset >= 0) {
          if (symbol !== absoluteCount) return undefined;
          absoluteCount++;
          value = offset;
        } else {
          value = base - 1 - offset;
        }
      } else if (addressing === "base") value = base + view.getUint32(at, true);
      else if (addressing === "entry") value = at + view.getInt32(at, true);
      else if (addressing === "absolute32") value = view.getUint32(at, true) - start32;
      else value = Number(BigInt.asIntN(64, view.getBigUint64(at, true) - start));
      // The first address after the absolute values begins a new rising order.
      if (value < before && !(symbol === absoluteCount && absoluteCount > 0)) return undefined;
      values[symbol] = value;
      before = value;
    }
    return new KallsymsAddresses(start, absoluteCount, values);
  }

  /** Returns whether one of the addresses is in the table, and most of the table is near the image. */
  isPlausible(known: readonly bigint[]): boolean {
    const far = this.values[this.values.length - 1] as number;
    return (
      far < LARGEST_DISTANCE &&
      this.absoluteCount < this.values.length / 2 &&
      known.some((address) => {
        const found = this.find(address);
        return found !== undefined && this.get(found) === address;
      })
    );
  }

  /** Gets a symbol's address. */
  get(symbol: number): bigint {
    const value = this.values[symbol] as number;
    return symbol < this.absoluteCount ? BigInt(value) : BigInt.asUintN(64, this.start + BigInt(value));
  }

  /** Finds the first symbol of those with the highest address that is not above this one. */
  find(address: bigint): number | undefined {
    const isAbsolute = this.absoluteCount > 0 && address < 0x80000000n;
    const value = Number(isAbsolute ? address : address - this.start);
    const first = isAbsolute ? 0 : this.absoluteCount;
    const { values } = this;
    let low = first;
    let high = isAbsolute ? this.absoluteCount : values.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((values[middle] as number) <= value) low = middle + 1;
      else high = middle;
    }
    if (low === first) return undefined;
    let symbol = low - 1;
    while (symbol > first && values[symbol - 1] === values[symbol]) symbol--;
    return symbol;
  }

  /** Counts the bytes from a symbol to the next higher address; 0 for the last. */
  size(symbol: number): number {
    const { values } = this;
    const end = symbol < this.absoluteCount ? this.absoluteCount : values.length;
    let next = symbol + 1;
    while (next < end && values[next] === values[symbol]) next++;
    return next < end ? (values[next] as number) - (values[symbol] as number) : 0;
  }
}
