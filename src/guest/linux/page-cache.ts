import { AddressError } from "../../memory/address-error";
import type { LinuxKernel } from "./linux-kernel";
import { MissingSymbolError } from "./missing-symbol-error";
import type { StructCursor } from "./struct-cursor";

const PAGE = 4096;
const PAGE_SHIFT = 12;
/** An index of 64 bits, 6 bits for each level; with CONFIG_BASE_SMALL 4 bits. */
const DEEPEST = 16;
/** Larger folios than of 2 GiB there are not (MAX_FOLIO_ORDER, include/linux/mm.h). */
const MOST_PAGES = 1n << 19n;
/** include/linux/xarray.h: what an entry is, by its two lowest bits; small internal ones are no nodes but siblings. */
const KIND_MASK = 3n;
const INTERNAL = 2n;
const LARGEST_SIBLING = 62n;

/** Where the kernel keeps its struct page of each page of memory. */
interface PageTable {
  readonly start: bigint;
  readonly size: number;
}

/**
 * Reads files out of the kernel's page cache (struct address_space): what was read or mapped of them lately, whoever did. A
 * file system in memory has all of its files there.
 */
export class PageCache {
  readonly #kernel: LinuxKernel;
  readonly #pages: PageTable;
  readonly #slots: number;
  readonly #shift: number;
  readonly #slotCount: bigint;
  /** Of the first page of several: its place in the file. */
  readonly #index: bigint;

  /** @throws MissingTypeError, MissingSymbolError when this kernel keeps its pages in another way */
  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
    this.#pages = findPageTable(kernel);
    const slots = kernel.place("xa_node", "slots");
    this.#slots = slots.offset;
    this.#slotCount = BigInt(slots.type.kind === "array" ? slots.type.count : 0);
    this.#shift = kernel.offset("xa_node", "shift");
    const index = kernel.findMember("folio", "index") ?? kernel.place("page", "index", "__folio_index");
    this.#index = BigInt(index.offset);
  }

  /**
   * Reads a part of a file.
   *
   * @param file the address of its struct file
   * @returns undefined when some of it is not in the cache, is beyond the file's end, or is damaged
   */
  find(file: bigint, offset: number, size: number): Uint8Array | undefined {
    try {
      const mapping = this.#kernel.at("file", file).follow("f_mapping");
      const length = mapping?.follow("host")?.value("i_size") ?? 0n;
      if (!mapping || !(offset >= 0 && size >= 0) || BigInt(offset) + BigInt(size) > length) return undefined;
      return this.#read(mapping, offset, size);
    } catch (error) {
      if (error instanceof AddressError) return undefined;
      throw error;
    }
  }

  #read(mapping: StructCursor, offset: number, size: number): Uint8Array | undefined {
    const bytes = new Uint8Array(size);
    for (let done = 0; done < size;) {
      const at = offset + done;
      const inPage = at % PAGE;
      const part = Math.min(PAGE - inPage, size - done);
      const page = this.#findPage(mapping, BigInt(Math.floor(at / PAGE)));
      const found = page === undefined ? undefined : this.#kernel.ram.findBytes(page + inPage, part);
      if (!found) return undefined;
      bytes.set(found, done);
      done += part;
    }
    return bytes;
  }

  /** Finds the physical address of a page of a file (lib/xarray.c: xas_load()). */
  #findPage(mapping: StructCursor, index: bigint): number | undefined {
    const { memory } = this.#kernel;
    let entry = mapping.value("i_pages.xa_head");
    // A tree that is not deep enough has nothing at a large index; a lone entry is the one of index 0.
    for (let depth = 0, limit = 1n; isNode(entry); depth++) {
      if (depth >= DEEPEST) return undefined;
      const node = entry - INTERNAL;
      const shift = BigInt(memory.u8(node + BigInt(this.#shift)));
      if (depth === 0) limit = this.#slotCount << shift;
      if (shift > 63n || index >= limit) return undefined;
      entry = this.#slot(node, (index >> shift) % this.#slotCount);
      // Of an entry for several indexes only the first slot has it; the others say which that is.
      if (isSibling(entry)) entry = this.#slot(node, entry >> 2n);
      if (shift === 0n) break;
    }
    // Odd values are what was swapped out, or a shadow of a page that has gone.
    if (entry === 0n || (entry & KIND_MASK) !== 0n) return undefined;
    return this.#physical(entry, index);
  }

  #slot(node: bigint, slot: bigint): bigint {
    const { memory } = this.#kernel;
    return memory.pointer(node + BigInt(this.#slots) + slot * BigInt(memory.pointerSize));
  }

  /** @param first the struct page, or struct folio, that the tree has for this index */
  #physical(first: bigint, index: bigint): number | undefined {
    const { start, size } = this.#pages;
    const number = (first - start) / BigInt(size);
    if (first < start || number * BigInt(size) !== first - start) return undefined;
    const behind = index - this.#kernel.memory.pointer(first + this.#index);
    if (behind < 0n || behind >= MOST_PAGES) return undefined;
    const physical = Number((number + behind) << BigInt(PAGE_SHIFT));
    return physical < this.#kernel.ram.end ? physical : undefined;
  }
}

/**
 * CONFIG_SPARSEMEM_VMEMMAP, as all 64-bit kernels have it, where KASLR moves the table; CONFIG_FLATMEM, as 32-bit ones
 * have it.
 */
function findPageTable(kernel: LinuxKernel): PageTable {
  const variable = kernel.findSymbol("vmemmap_base", "mem_map");
  if (variable === undefined) throw new MissingSymbolError("vmemmap_base or mem_map");
  return { start: kernel.memory.pointer(variable), size: kernel.sizeOf("page") };
}

function isNode(entry: bigint): boolean {
  return (entry & KIND_MASK) === INTERNAL && entry > 4096n;
}

function isSibling(entry: bigint): boolean {
  return (entry & KIND_MASK) === INTERNAL && entry >> 2n <= LARGEST_SIBLING;
}
