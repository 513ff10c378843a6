import type { PageTables } from "../../memory/page-tables";
import type { Ram } from "../../memory/ram";
import type { LinearRange } from "../../memory/virtual-memory";
import type { KernelImage } from "../structs/linux-kernel";

const GIB = 0x40000000;
const MIB2 = 0x200000;
const MIB4 = 0x400000;
const ENTRIES = 512;
/** Real tables have a page within the first entries: what takes longer is no page table, or made to take long. */
const MOST_ENTRIES = 4_000_000;

/** Where 64-bit kernels map themselves (__START_KERNEL_map): their first page tables have this and nothing else. */
const KERNEL_MAP = 0xffffffff80000000n;

/** The number of entries that may still be looked at. */
interface Budget {
  left: number;
}

/**
 * Finds where the kernel maps all physical memory in one piece (page_offset_base, PAGE_OFFSET).
 *
 * On x86-64 it is the lowest region of the kernel's half that maps pages at a distance of whole GiB; KASLR chooses the GiB.
 * In 32-bit kernels the image is part of it.
 *
 * @returns undefined when the page tables have none
 */
export function findDirectMap(ram: Ram, image: KernelImage): LinearRange | undefined {
  return image.tables.pointerSize === 8 ? find64(ram, image.tables, image.root) : find32(ram, image);
}

function find64(ram: Ram, tables: PageTables, root: number): LinearRange | undefined {
  const end = BigInt(Math.ceil(ram.end / GIB) * GIB);
  const budget: Budget = { left: MOST_ENTRIES };
  for (const { table, address } of findGibTables(tables, root)) {
    for (let index = 0; index < ENTRIES && budget.left-- > 0; index++) {
      const entry = tables.findEntry(table, index, 3);
      if (!entry || address + BigInt(index) * BigInt(GIB) >= KERNEL_MAP) continue;
      const page = entry.leaf ? { virtual: 0, physical: entry.address } : findFirstPage(tables, entry.address, budget);
      if (!page) continue;
      const start = address + BigInt(index) * BigInt(GIB) + BigInt(page.virtual) - BigInt(page.physical);
      if (start % BigInt(GIB) === 0n && start >= 1n << 63n) return { start, end: start + end, physical: 0 };
    }
  }
  return undefined;
}

/** Lists the tables of level 3 in the kernel's half, in the order of the addresses that they map. */
function* findGibTables(tables: PageTables, root: number): Iterable<{ table: number; address: bigint }> {
  const isDeep = tables.mode === "5-level";
  for (let top = ENTRIES / 2; top < ENTRIES; top++) {
    const entry = tables.findEntry(root, top, isDeep ? 5 : 4);
    if (!entry) continue;
    if (!isDeep) {
      yield { table: entry.address, address: (0xffffn << 48n) | (BigInt(top) << 39n) };
      continue;
    }
    for (let index = 0; index < ENTRIES; index++) {
      const lower = tables.findEntry(entry.address, index, 4);
      if (lower)
        yield { table: lower.address, address: (0x7fn << 57n) | (BigInt(top) << 48n) | (BigInt(index) << 39n) };
    }
  }
}

function findFirstPage(
  tables: PageTables,
  table: number,
  budget: Budget,
): { virtual: number; physical: number } | undefined {
  for (let index = 0; index < ENTRIES; index++) {
    const entry = tables.findEntry(table, index, 2);
    if (!entry) continue;
    if (entry.leaf) return { virtual: index * MIB2, physical: entry.address };
    budget.left -= ENTRIES;
    if (budget.left < 0) return undefined;
    for (let page = 0; page < ENTRIES; page++) {
      const leaf = tables.findEntry(entry.address, page, 1);
      if (leaf) return { virtual: index * MIB2 + page * 0x1000, physical: leaf.address };
    }
  }
  return undefined;
}

function find32(ram: Ram, image: KernelImage): LinearRange {
  const start = image.start - BigInt(image.physical);
  let end = image.physical + image.size;
  const highest = Math.min(ram.end, 0x1_0000_0000 - Number(start));
  while (end < highest && image.tables.translate(image.root, start + BigInt(end)) === end) {
    end = Math.min(highest, end - (end % MIB4) + MIB4);
  }
  return { start, end: start + BigInt(end), physical: 0 };
}
