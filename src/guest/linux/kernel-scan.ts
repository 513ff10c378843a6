import type { CpuFacts } from "../../memory/guest-source";
import { findPagingMode, PageTables } from "../../memory/page-tables";
import type { Ram } from "../../memory/ram";
import { AttachError } from "./attach-error";
import { findDirectMap } from "./direct-map";
import { findInterruptTables, type InterruptTable } from "./interrupt-tables";
import { findKernelImage } from "./kernel-image";
import { listPages, type Span } from "./memory-spans";

const PAGE = 0x1000;
const PRESENT = 0x1;
const WRITABLE = 0x2;
const LARGE = 0x80;
const ENTRIES = 512;
const MIB2 = 0x200000;
/** arch/x86/include/asm/page_64_types.h: __START_KERNEL_map. */
const IMAGE_REGION = 0xffffffff80000000n;
const IMAGE_REGION_SIZE = 0x40000000;
const FIXED = { index: 0, lstar: 0n, sysenterEip: 0n } as const;
const CR0_PAGING = 0x80000001n;
const CR4_PAE = 0x20n;
const CR4_LA57 = 0x1020n;
const EFER_LMA = 0x500n;
/** How many page tables that look right are tried in earnest: each takes a look at all that they map. */
const MOST_TRIES = 256;

/**
 * Finds, in memory alone, what the registers of a vCPU were that ran a Linux kernel. The interrupt table gives addresses of
 * code; a page table is the kernel's own when it maps this code and that table, all physical memory, and itself.
 *
 * @param spans where memory is not known to be zero
 * @returns the first that fits, or nothing
 */
export function scanForKernel(ram: Ram, spans: readonly Span[]): CpuFacts | undefined {
  const tables = findInterruptTables(ram, spans);
  const budget = { left: MOST_TRIES };
  for (const page of listPages(spans)) {
    for (const facts of listFacts(ram, page, tables)) {
      if (budget.left-- <= 0) return undefined;
      if (isKernel(ram, page, facts)) return facts;
    }
  }
  return undefined;
}

/** Lists what the registers would have been if this page were the kernel's highest page table. */
function* listFacts(ram: Ram, page: number, tables: readonly InterruptTable[]): Generator<CpuFacts> {
  const entry = ram.findWord32(page + (ENTRIES - 1) * 8);
  const mayBeLong = (entry & (PRESENT | WRITABLE | LARGE)) === (PRESENT | WRITABLE);
  for (const table of tables) {
    if (table.bits === 64 && !mayBeLong) continue;
    for (const facts of table.bits === 64 ? LONG : NARROW) {
      const guess = { ...facts, cr3: BigInt(page), idtBase: 0n, idtLimit: table.limit };
      const tablesHere = new PageTables(ram, findPagingMode(guess) ?? "legacy");
      const distance =
        table.bits === 64 ? findImageDistance(ram, tablesHere, page) : findDistance(tablesHere, page, table);
      if (distance === undefined) continue;
      const idtBase = BigInt(table.address) + distance;
      const own = BigInt(page) + distance;
      // The kernel's first page table is in its image, and so is the interrupt table.
      if (tablesHere.translate(page, own) === page && tablesHere.translate(page, idtBase) === table.address) {
        yield { ...guess, idtBase };
      }
    }
  }
}

type Mode = Omit<CpuFacts, "cr3" | "idtBase" | "idtLimit">;
const LONG: readonly Mode[] = [
  { ...FIXED, cr0: CR0_PAGING, cr4: CR4_PAE, efer: EFER_LMA },
  { ...FIXED, cr0: CR0_PAGING, cr4: CR4_LA57, efer: EFER_LMA },
];
const NARROW: readonly Mode[] = [
  { ...FIXED, cr0: CR0_PAGING, cr4: CR4_PAE, efer: 0n },
  { ...FIXED, cr0: CR0_PAGING, cr4: 0n, efer: 0n },
];

/** How far the 64-bit image lies from its physical memory, by the first page that is mapped for it. */
function findImageDistance(ram: Ram, tables: PageTables, root: number): bigint | undefined {
  let table = root;
  for (let level = tables.mode === "5-level" ? 5 : 4; level > 2; level--) {
    const entry = tables.findEntry(table, level === 3 ? ENTRIES - 2 : ENTRIES - 1, level);
    if (!entry || entry.leaf || entry.address >= ram.end) return undefined;
    table = entry.address;
  }
  for (let index = 0; index < ENTRIES; index++) {
    const entry = tables.findEntry(table, index, 2);
    if (!entry) continue;
    if (entry.leaf) return IMAGE_REGION + BigInt(index * MIB2 - entry.address);
    for (let page = 0; page < ENTRIES; page++) {
      const leaf = tables.findEntry(entry.address, page, 1);
      if (leaf) return IMAGE_REGION + BigInt(index * MIB2 + page * PAGE - leaf.address);
    }
  }
  return undefined;
}

/** How far a 32-bit kernel's memory lies from physical memory. */
function findDistance(tables: PageTables, root: number, { handler }: InterruptTable): bigint | undefined {
  const physical = tables.translate(root, handler);
  return physical < 0 ? undefined : handler - BigInt(physical);
}

function isKernel(ram: Ram, root: number, facts: CpuFacts): boolean {
  try {
    const image = findKernelImage(ram, [facts]);
    const fits = image.size < IMAGE_REGION_SIZE && root >= image.physical && root < image.physical + image.size;
    return fits && findDirectMap(ram, image) !== undefined;
  } catch (error) {
    if (error instanceof AttachError) return false;
    throw error;
  }
}
