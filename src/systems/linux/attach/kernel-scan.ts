import type { CpuFacts } from "../../memory/guest-source";
import { findPagingMode, PageTables } from "../../memory/page-tables";
import { AttachError } from "../../errors";
import { findDirectMap } from "./direct-map";
import { findInterruptTables, type InterruptTable } from "./interrupt-tables";
import { findKernelImage } from "./kernel-image";
import { listPages, type Ram, type RamRange } from "../../memory/ram";

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
/** The number of plausible page tables that are tried in earnest: each attempt looks at everything that the table maps. */
const MOST_TRIES = 16;
/** Real tables have a page for the image within the first entries: memory that takes longer is made to take long. */
const MOST_ENTRIES = 20_000_000;

/** The work that may still be done. */
interface Budget {
  tries: number;
  entries: number;
}

/**
 * Finds, in memory alone, what the registers of a vCPU were that ran a Linux kernel. The interrupt table gives addresses of
 * code; a page table is the kernel's own when it maps this code and that table, all physical memory, and itself.
 *
 * @param spans where memory is not known to be zero, in the order of their addresses
 * @returns the first that fits, or nothing
 */
export function scanForKernel(ram: Ram, spans: readonly RamRange[]): CpuFacts | undefined {
  const tables = findInterruptTables(ram, spans);
  if (tables.length === 0) return undefined;
  const budget: Budget = { tries: MOST_TRIES, entries: MOST_ENTRIES };
  for (const page of listPages(spans)) {
    for (const facts of listFacts(ram, page, tables, budget)) {
      if (budget.tries-- <= 0) return undefined;
      if (isKernel(ram, page, facts)) return facts;
    }
    if (budget.entries <= 0) return undefined;
  }
  return undefined;
}

/** Lists what the registers would have been if this page were the kernel's highest page table. */
function* listFacts(ram: Ram, page: number, found: readonly InterruptTable[], budget: Budget): Generator<CpuFacts> {
  const last = ram.findWord32(page + (ENTRIES - 1) * 8);
  const mayBeLong = (last & (PRESENT | WRITABLE | LARGE)) === (PRESENT | WRITABLE);
  for (const mode of MODES) {
    if (mode.efer !== 0n && !mayBeLong) continue;
    const facts = { ...mode, cr3: BigInt(page) };
    const tables = new PageTables(ram, findPagingMode({ ...facts, idtBase: 0n, idtLimit: 0 }) ?? "legacy");
    const imageDistance = mode.efer === 0n ? undefined : findImageDistance(ram, tables, page, budget);
    for (const { address, bits, handler, limit } of found) {
      if ((bits === 64) !== (mode.efer !== 0n)) continue;
      const distance = bits === 64 ? imageDistance : findDistance(tables, page, handler, budget);
      if (distance === undefined) continue;
      const idtBase = BigInt(address) + distance;
      const own = BigInt(page) + distance;
      // The kernel's first page table is in its image, and so is the interrupt table.
      if (tables.translate(page, own) === page && tables.translate(page, idtBase) === address) {
        yield { ...facts, idtBase, idtLimit: limit };
      }
    }
  }
}

type Mode = Omit<CpuFacts, "cr3" | "idtBase" | "idtLimit">;
const MODES: readonly Mode[] = [
  { ...FIXED, cr0: CR0_PAGING, cr4: CR4_PAE, efer: EFER_LMA },
  { ...FIXED, cr0: CR0_PAGING, cr4: CR4_LA57, efer: EFER_LMA },
  { ...FIXED, cr0: CR0_PAGING, cr4: CR4_PAE, efer: 0n },
  { ...FIXED, cr0: CR0_PAGING, cr4: 0n, efer: 0n },
];

/** Finds how far the 64-bit image lies from its physical memory, by the first page that is mapped for it. */
function findImageDistance(ram: Ram, tables: PageTables, root: number, budget: Budget): bigint | undefined {
  let table = root;
  for (let level = tables.mode === "5-level" ? 5 : 4; level > 2; level--) {
    const entry = tables.findEntry(table, level === 3 ? ENTRIES - 2 : ENTRIES - 1, level);
    if (!entry || entry.leaf || entry.address >= ram.end) return undefined;
    table = entry.address;
  }
  for (let index = 0; index < ENTRIES && budget.entries-- > 0; index++) {
    const entry = tables.findEntry(table, index, 2);
    if (!entry) continue;
    if (entry.leaf) return IMAGE_REGION + BigInt(index * MIB2 - entry.address);
    for (let page = 0; page < ENTRIES && budget.entries-- > 0; page++) {
      const leaf = tables.findEntry(entry.address, page, 1);
      if (leaf) return IMAGE_REGION + BigInt(index * MIB2 + page * PAGE - leaf.address);
    }
  }
  return undefined;
}

/** Finds how far a 32-bit kernel's memory lies from physical memory. */
function findDistance(tables: PageTables, root: number, handler: bigint, budget: Budget): bigint | undefined {
  budget.entries--;
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
