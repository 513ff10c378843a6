import type { CpuFacts } from "../../memory/guest-source";
import { findPagingMode, PageTables, pageSize, pageTableRoot } from "../../memory/page-tables";
import type { Ram } from "../../memory/ram";
import { AttachError } from "../../errors";
import type { KernelImage } from "../structs/linux-kernel";
import { VirtualMemory } from "../../memory/virtual-memory";

const GIB = 0x40000000;
const MIB2 = 0x200000;
/** arch/x86/include/asm/page_64_types.h: __START_KERNEL_map, the same in all versions and with five levels. */
const IMAGE_REGION = 0xffffffff80000000n;
/** KERNEL_IMAGE_SIZE is at most 1 GiB: modules lie behind it. */
const IMAGE_REGION_END = 0xffffffffc0000000n;
/** Freed init memory leaves a gap in the image. No kernel has larger ones. */
const LARGEST_GAP = 64 * 1024 * 1024;
/** The most low memory around the entry point that can belong to a 32-bit kernel, in bytes. */
const LARGEST_IMAGE_32 = 96 * 1024 * 1024;

/** Divide error, breakpoint, invalid opcode, general protection, page fault: every kernel handles them. */
const VECTORS = [14, 13, 6, 3, 0];
const KERNEL_HALF_64 = 1n << 63n;
/** The lowest PAGE_OFFSET that a 32-bit kernel can be built with (CONFIG_VMSPLIT_1G). */
const KERNEL_HALF_32 = 0x40000000n;

/**
 * Finds the kernel's image from the registers of a vCPU and page tables.
 *
 * The CPU knows where system calls and interrupts enter the kernel. Around that address, the page tables map the image in
 * one piece of physical memory, whatever KASLR chose.
 *
 * @throws AttachError
 */
export function findKernelImage(ram: Ram, cpus: readonly CpuFacts[]): KernelImage {
  let problem: AttachError | undefined;
  for (const cpu of cpus) {
    try {
      return findOnCpu(ram, cpu);
    } catch (error) {
      if (!(error instanceof AttachError)) throw error;
      problem ??= error;
    }
  }
  throw problem ?? new AttachError("cpu", "the machine has no vCPU", "start a machine with one");
}

function findOnCpu(ram: Ram, cpu: CpuFacts): KernelImage {
  const mode = findPagingMode(cpu);
  if (!mode) {
    throw new AttachError("cpu", `vCPU ${cpu.index} has paging off`, "try again when the kernel has started", true);
  }
  const tables = new PageTables(ram, mode);
  const entryPoints = findEntryPoints(ram, tables, cpu);
  if (entryPoints.length === 0) {
    throw new AttachError(
      "cpu",
      `vCPU ${cpu.index} has no entry for system calls or interrupts in kernel addresses ` +
        `(LSTAR 0x${cpu.lstar.toString(16)}, IDT at 0x${cpu.idtBase.toString(16)})`,
      "try again when the kernel has started",
      true,
    );
  }
  const roots = findRoots(cpu, tables);
  const found = roots
    .flatMap((root) =>
      entryPoints.map((entry) =>
        tables.pointerSize === 8 ? find64(tables, root, entry) : find32(ram, tables, root, entry),
      ),
    )
    .filter((image) => image !== undefined)
    // Under page-table isolation the tables of user code map only the entry: the larger one is the kernel's.
    .toSorted((a, b) => b.size - a.size)[0];
  if (found) return { ...found, tables, entryPoints };
  const entries = entryPoints.map((entry) => `0x${entry.toString(16)}`).join(", ");
  throw new AttachError(
    tables.pointerSize === 8 && !entryPoints.some(isImageAddress) ? "image" : "page-tables",
    `the CPU enters the kernel at ${entries}, which the page tables at ${roots.map((root) => `0x${root.toString(16)}`).join(", ")} ` +
      "do not map as part of a Linux image (on x86-64 it lies in the top 2 GiB)",
    "the guest may run another operating system: rebox knows Linux guests here",
  );
}

function isImageAddress(address: bigint): boolean {
  return address >= IMAGE_REGION && address < IMAGE_REGION_END;
}

/** Lists the tables that may be the kernel's: under page-table isolation they lie 4 KiB before the user's. */
function findRoots(cpu: CpuFacts, tables: PageTables): number[] {
  const root = pageTableRoot(cpu.cr3, tables.mode);
  if (tables.mode === "legacy") return [root];
  return (root & 0x1000) === 0 ? [root] : [root - 0x1000, root];
}

type Extent = Pick<KernelImage, "root" | "start" | "physical" | "size">;

/** Collects the pages around the entry point that are mapped at one distance from their physical addresses. */
function find64(tables: PageTables, root: number, entry: bigint): Extent | undefined {
  if (!isImageAddress(entry)) return undefined;
  const entryPhysical = tables.translate(root, entry);
  if (entryPhysical < 0) return undefined;
  const directory = findDirectory(tables, root);
  if (directory === undefined) return undefined;
  const entryOffset = Number(entry - IMAGE_REGION);
  const distance = entryPhysical - entryOffset;
  const pages: { offset: number; size: number }[] = [];
  for (let index = 0; index < GIB / MIB2; index++) {
    const found = tables.findEntry(directory, index, 2);
    if (!found) continue;
    const offset = index * MIB2;
    if (found.leaf) {
      if (found.address - offset === distance) pages.push({ offset, size: MIB2 });
      continue;
    }
    for (let page = 0; page < 512; page++) {
      const leaf = tables.findEntry(found.address, page, 1);
      if (leaf && leaf.address - offset - page * 0x1000 === distance) {
        pages.push({ offset: offset + page * 0x1000, size: pageSize(1) });
      }
    }
  }
  const at = pages.findIndex(({ offset, size }) => entryOffset >= offset && entryOffset < offset + size);
  if (at < 0) return undefined;
  const end = (index: number): number => (pages[index]?.offset ?? 0) + (pages[index]?.size ?? 0);
  let first = at;
  while (first > 0 && (pages[first]?.offset ?? 0) - end(first - 1) <= LARGEST_GAP) first--;
  let last = at;
  while (last + 1 < pages.length && (pages[last + 1]?.offset ?? 0) - end(last) <= LARGEST_GAP) last++;
  const offset = pages[first]?.offset ?? 0;
  return { root, start: IMAGE_REGION + BigInt(offset), physical: distance + offset, size: end(last) - offset };
}

/** Finds the table of 2 MiB pages that maps the image's GiB. */
function findDirectory(tables: PageTables, root: number): number | undefined {
  let table = root;
  for (let level = tables.mode === "5-level" ? 5 : 4; level > 2; level--) {
    const entry = tables.findEntry(table, level === 3 ? 510 : 511, level);
    if (!entry || entry.leaf) return undefined;
    table = entry.address;
  }
  return table;
}

/** A 32-bit kernel is part of low memory, which is mapped at one distance: as much of it around the entry as fits. */
function find32(ram: Ram, tables: PageTables, root: number, entry: bigint): Extent | undefined {
  const physical = tables.translate(root, entry);
  if (physical < 0) return undefined;
  const distance = Number(entry) - physical;
  // PAGE_OFFSET is the virtual address of physical address 0.
  if (distance < 0x40000000 || distance % MIB2 !== 0) return undefined;
  let first = physical - (physical % 0x1000);
  const lowest = Math.max(0x100000, physical - LARGEST_IMAGE_32);
  while (first > lowest && tables.translate(root, BigInt(first - 0x1000 + distance)) === first - 0x1000)
    first -= 0x1000;
  let last = physical - (physical % 0x1000) + 0x1000;
  const highest = Math.min(physical + LARGEST_IMAGE_32, ram.end);
  while (last < highest && tables.translate(root, BigInt(last + distance)) === last) last += 0x1000;
  return { root, start: BigInt(first + distance), physical: first, size: last - first };
}

/** Lists where a vCPU enters the kernel: system calls first, then exceptions. Empty before the kernel has set it up. */
function findEntryPoints(ram: Ram, tables: PageTables, cpu: CpuFacts): bigint[] {
  const wide = tables.pointerSize === 8;
  const isKernel = (address: bigint): boolean => address >= (wide ? KERNEL_HALF_64 : KERNEL_HALF_32);
  const entries = [wide ? cpu.lstar : cpu.sysenterEip, ...findHandlers(ram, tables, cpu)];
  return [...new Set(entries.filter(isKernel))];
}

/** Reads the handlers of exceptions out of the interrupt descriptor table (Intel SDM volume 3, 6.11 and 6.14.1). */
function findHandlers(ram: Ram, tables: PageTables, cpu: CpuFacts): bigint[] {
  const memory = new VirtualMemory(ram, tables, pageTableRoot(cpu.cr3, tables.mode));
  const wide = tables.pointerSize === 8;
  const size = wide ? 16 : 8;
  return VECTORS.flatMap((vector) => {
    if (cpu.idtLimit < (vector + 1) * size - 1) return [];
    const gate = memory.readSome(cpu.idtBase + BigInt(vector * size), size);
    if (gate.length < size || ((gate[5] as number) & 0x80) === 0) return [];
    const low = BigInt(gate.readUInt16LE(0) | (gate.readUInt16LE(6) << 16)) & 0xffffffffn;
    return [wide ? (BigInt(gate.readUInt32LE(8)) << 32n) | low : low];
  });
}
