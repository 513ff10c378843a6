import type { CpuFacts } from "./guest-source";
import type { Ram } from "./ram";

/** The ways in which addresses are translated. "legacy" is 32-bit with two levels, "pae" 32-bit with three. */
export type PagingMode = "legacy" | "pae" | "4-level" | "5-level";

/** A page or a large page that is mapped. */
export interface Mapping {
  /** The physical address of the page itself. */
  readonly page: number;
  /** In bytes: 4 KiB, 2 MiB, 4 MiB or 1 GiB. */
  readonly size: number;
}

const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const CR4_LA57 = 1n << 12n;
const EFER_LMA = 1n << 10n;

const PRESENT = 0x1;
const LARGE = 0x80;
/** Bits 32 to 51 of an entry. */
const HIGH_ADDRESS = 0xfffff;
const TWO_32 = 0x1_0000_0000;

/** Finds how a vCPU translates addresses (Intel SDM volume 3, 5.1.1); undefined while paging is off. */
export function findPagingMode(cpu: CpuFacts): PagingMode | undefined {
  if ((cpu.cr0 & CR0_PG) === 0n) return undefined;
  if ((cpu.efer & EFER_LMA) !== 0n) return (cpu.cr4 & CR4_LA57) !== 0n ? "5-level" : "4-level";
  return (cpu.cr4 & CR4_PAE) !== 0n ? "pae" : "legacy";
}

/** Finds the physical address in CR3, without PCID. */
export function pageTableRoot(cr3: bigint, mode: PagingMode): number {
  const mask = mode === "pae" ? 0xffffffe0n : mode === "legacy" ? 0xfffff000n : 0xffffffffff000n;
  return Number(cr3 & mask);
}

/** Walks the guest's page tables, in one paging mode, without trusting what they say. */
export class PageTables {
  readonly #ram: Ram;

  constructor(
    ram: Ram,
    readonly mode: PagingMode,
  ) {
    this.#ram = ram;
  }

  /** In bytes. */
  get pointerSize(): 4 | 8 {
    return this.mode === "4-level" || this.mode === "5-level" ? 8 : 4;
  }

  /**
   * Translates a virtual address; -1 when nothing is mapped there. The result may lie outside RAM.
   *
   * @param root the physical address of the highest table
   */
  translate(root: number, address: bigint): number {
    const low = Number(address & 0xffffffffn);
    const high = Number((address >> 32n) & 0xffffffffn);
    switch (this.mode) {
      case "legacy":
        return this.#translateLegacy(root, low);
      case "pae":
        return this.#down(root, low, high, 3, low >>> 30);
      case "4-level":
        return this.#down(root, low, high, 4, (high >>> 7) & 511);
      default:
        return this.#down(root, low, high, 5, (high >>> 16) & 511);
    }
  }

  /**
   * Finds the entry of a page of 4 KiB, whether it is present or not; undefined where a table above it is not, or a larger page is mapped.
   *
   * @param root the physical address of the highest table
   * @returns its physical address
   */
  findPageEntry(root: number, address: bigint): number | undefined {
    if (this.mode === "legacy") {
      const low = Number(address & 0xffffffffn);
      const directory = this.#ram.findWord32(root + (low >>> 22) * 4);
      if (directory < 0 || (directory & PRESENT) === 0 || (directory & LARGE) !== 0) return undefined;
      return ((directory & 0xfffff000) >>> 0) + ((low >>> 12) & 1023) * 4;
    }
    const levels = this.mode === "pae" ? 3 : this.mode === "4-level" ? 4 : 5;
    let table = root;
    for (let level = levels; level > 1; level--) {
      const index = Number(
        (address >> BigInt(12 + 9 * (level - 1))) & (this.mode === "pae" && level === 3 ? 3n : 511n),
      );
      const found = this.findEntry(table, index, level);
      if (!found || found.leaf) return undefined;
      table = found.address;
    }
    return table + Number((address >> 12n) & 511n) * 8;
  }

  /** Says why nothing is mapped at an address, where the system's own entries tell more; undefined where they do not. */
  explain(_root: number, _address: bigint): string | undefined {
    return undefined;
  }

  /**
   * Finds the mapping that an entry of a table with 64-bit entries makes, or the lower table that it names.
   *
   * @param table physical
   * @param index from 0 to 511
   * @param level 1 for the table of pages, 4 or 5 for the highest
   */
  findEntry(
    table: number,
    index: number,
    level: number,
  ): { readonly address: number; readonly leaf: boolean } | undefined {
    const low = this.#ram.findWord32(table + index * 8);
    const high = this.#ram.findWord32(table + index * 8 + 4);
    if (low < 0 || high < 0 || (low & PRESENT) === 0) return undefined;
    const leaf = level === 1 || ((low & LARGE) !== 0 && level <= 3);
    const address = (high & HIGH_ADDRESS) * TWO_32 + ((low & 0xfffff000) >>> 0);
    // Bit 12 of a large page is an attribute (PAT), and the bits above it up to the page's size must be 0.
    return { address: leaf ? address - (address % pageSize(level)) : address, leaf };
  }

  #down(root: number, low: number, high: number, levels: number, first: number): number {
    let table = root;
    let index = first;
    for (let level = levels; ; level--) {
      const at = table + index * 8;
      const entryLow = this.#ram.findWord32(at);
      if (entryLow < 0 || (entryLow & PRESENT) === 0) return -1;
      const entryHigh = this.#ram.findWord32(at + 4);
      if (entryHigh < 0) return -1;
      const target = (entryHigh & HIGH_ADDRESS) * TWO_32 + ((entryLow & 0xfffff000) >>> 0);
      if (level === 1) return target + (low & 0xfff);
      if ((entryLow & LARGE) !== 0 && level <= 3 && !(level === 3 && levels === 3)) {
        const size = pageSize(level);
        return target - (target % size) + (low % size);
      }
      table = target;
      if (level === 2) index = (low >>> 12) & 511;
      else if (level === 3) index = (low >>> 21) & 511;
      else if (level === 4) index = ((high & 0x7f) << 2) | (low >>> 30);
      else index = (high >>> 7) & 511;
    }
  }

  #translateLegacy(root: number, low: number): number {
    const directory = this.#ram.findWord32(root + (low >>> 22) * 4);
    if (directory < 0 || (directory & PRESENT) === 0) return -1;
    if ((directory & LARGE) !== 0) {
      // Bits 13 to 20 of a 4 MiB page are bits 32 to 39 of its address (PSE-36).
      return ((directory >>> 13) & 0xff) * TWO_32 + ((directory & 0xffc00000) >>> 0) + (low & 0x3fffff);
    }
    const page = this.#ram.findWord32(((directory & 0xfffff000) >>> 0) + ((low >>> 12) & 1023) * 4);
    if (page < 0 || (page & PRESENT) === 0) return -1;
    return ((page & 0xfffff000) >>> 0) + (low & 0xfff);
  }
}

/** Counts the bytes that a leaf at this level maps, in tables with 64-bit entries. */
export function pageSize(level: number): number {
  return level === 1 ? 0x1000 : level === 2 ? 0x200000 : 0x40000000;
}
