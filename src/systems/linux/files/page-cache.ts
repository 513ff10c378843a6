import { AddressError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";

const PAGE = 4096;
const LARGEST_READ = 0x10000;
const PAGE_SHIFT = 12n;
/** Entries of an XArray (include/linux/xarray.h): an internal one has the low bits 10, a value bit 0. */
const KIND_MASK = 3n;
const INTERNAL = 2n;
/** Internal entries up to here are no nodes: siblings of another slot, or marks for a retry. */
const LAST_SPECIAL = 4096n;
/** The largest number of levels: an index of 64 bits in pieces of 4 or more bits. */
const DEEPEST = 16;
/** MAX_ORDER of the page cache: no folio has more pages. */
const LARGEST_FOLIO = 1n << 13n;
/** VMEMMAP_START of kernels that do not choose it at boot (Documentation/arch/x86/x86_64/mm.rst). */
const FIXED_VMEMMAP = 0xffffea0000000000n;

/** A page of a file in memory. */
export interface CachedPage {
  /** The address of the struct page, or struct folio, that the page's state is in. */
  readonly folio: bigint;
  /** The page of the file that the folio begins with. */
  readonly firstIndex: bigint;
  /** The address of the page in physical memory. */
  readonly physical: bigint;
}

/** Reads files of the guest as far as its kernel holds their pages, whether a process has them mapped now or not. */
export class PageCache {
  readonly #kernel: LinuxKernel;

  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
  }

  /**
   * Reads a piece of a file.
   *
   * @param file the address of its struct file
   * @param offset in the file, in bytes
   * @param size in bytes, at most 64 KiB
   * @returns undefined when one of its pages is not in memory, or what leads to it is damaged
   */
  find(file: bigint, offset: bigint, size: number): Uint8Array | undefined {
    try {
      const mapping = this.#kernel.memory.pointer(file + BigInt(this.#kernel.offset("file", "f_mapping")));
      return this.findMapped(mapping, offset, size);
    } catch (error) {
      if (error instanceof AddressError) return undefined;
      throw error;
    }
  }

  /** Reads a piece of a file that need not be open any more, by the address of its struct address_space, as find() does. */
  findMapped(mapping: bigint, offset: bigint, size: number): Uint8Array | undefined {
    if (size > LARGEST_READ) return undefined;
    const within = Number(offset % BigInt(PAGE));
    if (within + size <= PAGE) return this.#findInPage(mapping, offset, size);
    const bytes = Buffer.alloc(size);
    for (let done = 0; done < size;) {
      const at = offset + BigInt(done);
      const part = Math.min(size - done, PAGE - Number(at % BigInt(PAGE)));
      const piece = this.#findInPage(mapping, at, part);
      if (!piece) return undefined;
      bytes.set(piece, done);
      done += part;
    }
    return bytes;
  }

  #findInPage(mapping: bigint, offset: bigint, size: number): Uint8Array | undefined {
    try {
      const page = this.findPage(mapping, offset >> PAGE_SHIFT);
      const within = Number(offset % BigInt(PAGE));
      return page && this.#kernel.ram.findBytes(Number(page.physical) + within, size);
    } catch (error) {
      if (error instanceof AddressError) return undefined;
      throw error;
    }
  }

  /**
   * Finds a page that the cache holds, whether its content has been read yet or not: address_space.i_pages (since 4.20).
   *
   * @param mapping the address of a file's struct address_space
   * @param index which page of the file, from 0
   * @throws AddressError when what leads to it is damaged
   */
  findPage(mapping: bigint, index: bigint): CachedPage | undefined {
    const { memory } = this.#kernel;
    const pages = this.#kernel.findMember("address_space", "i_pages.xa_head");
    if (!pages) return undefined;
    const entry = this.#load(memory.pointer(mapping + BigInt(pages.offset)), index);
    if (entry === undefined || entry === 0n || (entry & KIND_MASK) !== 0n) return undefined;
    const first = this.#findFolio(entry);
    const firstIndex = this.#folioIndex(entry);
    const further = index - firstIndex;
    if (first === undefined || further < 0n || further >= LARGEST_FOLIO) return undefined;
    return { folio: entry, firstIndex, physical: first + (further << PAGE_SHIFT) };
  }

  /** lib/xarray.c: xas_load() */
  #load(head: bigint, index: bigint): bigint | undefined {
    const { memory } = this.#kernel;
    const shift = BigInt(this.#kernel.offset("xa_node", "shift"));
    const { offset, type } = this.#kernel.place("xa_node", "slots");
    const count = BigInt(type.kind === "array" ? type.count : 0);
    const slot = (node: bigint, at: bigint) => memory.pointer(node + BigInt(offset) + at * BigInt(memory.pointerSize));
    if (!isNode(head)) return index === 0n ? head : undefined;
    let entry = head;
    for (let depth = 0; isNode(entry); depth++) {
      if (depth >= DEEPEST) return undefined;
      const node = entry - INTERNAL;
      const at = index >> BigInt(memory.u8(node + shift));
      // Only the first node can be too small for the index.
      if (depth === 0 && at >= count) return undefined;
      entry = slot(node, at % count);
      // A folio of several pages is in the first of its slots; the others say which one that is.
      if ((entry & KIND_MASK) === INTERNAL && entry >> 2n < count) entry = slot(node, entry >> 2n);
    }
    return entry;
  }

  /** @returns the physical address of a folio's first page */
  #findFolio(page: bigint): bigint | undefined {
    const base = this.#pages();
    if (base === undefined) return undefined;
    const size = BigInt(this.#kernel.sizeOf("page"));
    const distance = page - base;
    return distance < 0n || distance % size !== 0n ? undefined : (distance / size) << PAGE_SHIFT;
  }

  #folioIndex(page: bigint): bigint {
    const folio = this.#kernel.findMember("folio", "index");
    const place = folio ?? this.#kernel.place("page", "index");
    return this.#kernel.memory.pointer(page + BigInt(place.offset));
  }

  /** The address of the struct page of the machine's first page; undefined when they are not in one piece. */
  #pages(): bigint | undefined {
    const { memory, bits } = this.#kernel;
    const chosen = this.#kernel.findSymbol("vmemmap_base", "mem_map");
    if (chosen !== undefined) return memory.pointer(chosen);
    return bits === 64 ? FIXED_VMEMMAP : undefined;
  }
}

function isNode(entry: bigint): boolean {
  return (entry & KIND_MASK) === INTERNAL && entry > LAST_SPECIAL;
}
