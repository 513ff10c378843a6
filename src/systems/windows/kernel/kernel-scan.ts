import type { CpuFacts } from "../../memory/guest-source";
import { PageTables } from "../../memory/page-tables";
import { listPages, type Ram, type RamRange } from "../../memory/ram";
import { VirtualMemory } from "../../memory/virtual-memory";
import { readKernelAt } from "./kernel-search";

const PAGE = 0x1000;
const ENTRIES = 512;
/** Of the highest page table: those of the kernel's half. */
const FIRST_KERNEL_ENTRY = 256;
/** 0xfffff80000000000 to 0xfffff87fffffffff, where kernels of 64 bits lie, from XP to Windows 11 with KASLR. */
const IMAGES_ENTRY = 0x1f0;
const IMAGES = 0xfffff80000000000n;
const MZ = 0x5a4d;
const PRESENT_WRITABLE = 3;
const LARGE = 0x80;
/** Page tables that are looked into; a machine has one for each process, and the first that is whole will do. */
const MOST_TRIES = 64;
/** Entries and pages that are looked at in all of them: real kernels are found within some 100,000. */
const MOST_STEPS = 16_000_000;
const FIXED = { index: 0, cr0: 0x80000011n, cr4: 0x20n, efer: 0x500n, lstar: 0n, sysenterEip: 0n } as const;

/** The work that may still be done. */
interface Budget {
  tries: number;
  steps: number;
}

/**
 * Finds, in memory alone, what the registers of a vCPU were that ran a 64-bit Windows. The highest page table of each process
 * maps itself in one entry of the kernel's half, and through it the kernel's image is found by its name.
 *
 * @param spans where memory is not known to be zero, in the order of their addresses
 * @returns the first that fits, or nothing
 */
export function scanForWindows(ram: Ram, spans: readonly RamRange[]): CpuFacts | undefined {
  const budget = { tries: MOST_TRIES, steps: MOST_STEPS };
  for (const root of listPages(spans)) {
    if (!mapsItself(ram, root)) continue;
    const base = findImage(ram, root, budget);
    if (base !== undefined) return { ...FIXED, cr3: BigInt(root), idtBase: 0n, idtLimit: 0, kernelData: base };
    if (budget.tries-- <= 0 || budget.steps <= 0) return undefined;
  }
  return undefined;
}

/** Bits 52 to 62 of the entry are free, or Windows' own; bits 32 to 51 are the rest of the address. */
function mapsItself(ram: Ram, root: number): boolean {
  const found = ram.findView(root, PAGE);
  if (!found) return false;
  const { view, offset } = found;
  const low = (root % 2 ** 32) + PRESENT_WRITABLE;
  const high = Math.floor(root / 2 ** 32);
  for (let index = FIRST_KERNEL_ENTRY; index < ENTRIES; index++) {
    const at = offset + index * 8;
    const word = view.getUint32(at, true);
    // As numbers: what JavaScript makes of bits is signed.
    if ((word & 0xfffff003) >>> 0 !== low || (word & LARGE) !== 0) continue;
    if ((view.getUint32(at + 4, true) & 0xfffff) === high) return true;
  }
  return false;
}

/** Looks at each page of the kernel's part that is mapped, until one begins the kernel. */
function findImage(ram: Ram, root: number, budget: Budget): bigint | undefined {
  const tables = new PageTables(ram, "4-level");
  const memory = new VirtualMemory(ram, tables, root);
  const top = tables.findEntry(root, IMAGES_ENTRY, 4);
  if (!top || top.leaf) return undefined;
  for (const { distance, physical, size } of listMapped(tables, top.address, 3, 0, budget)) {
    for (let at = 0; at < size; at += PAGE) {
      if (budget.steps-- <= 0) return undefined;
      if ((ram.findWord32(physical + at) & 0xffff) !== MZ) continue;
      const base = IMAGES + BigInt(distance + at);
      if (readKernelAt(memory, base)) return base;
    }
  }
  return undefined;
}

/** Memory that one entry of a page table maps: its distance from the beginning of the images' part, in bytes. */
interface Mapped {
  readonly distance: number;
  readonly physical: number;
  readonly size: number;
}

function* listMapped(
  tables: PageTables,
  table: number,
  level: number,
  from: number,
  budget: Budget,
): Generator<Mapped> {
  const size = PAGE * ENTRIES ** (level - 1);
  for (let index = 0; index < ENTRIES && budget.steps-- > 0; index++) {
    const entry = tables.findEntry(table, index, level);
    if (!entry) continue;
    const distance = from + index * size;
    // Nobody maps an image by a page of 1 GiB.
    if (entry.leaf && level < 3) yield { distance, physical: entry.address, size };
    else if (!entry.leaf) yield* listMapped(tables, entry.address, level - 1, distance, budget);
  }
}
