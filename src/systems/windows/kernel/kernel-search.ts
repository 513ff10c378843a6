import type { CpuFacts, GuestSource } from "../../memory/guest-source";
import { findPagingMode, PageTables, pageTableRoot, type PagingMode } from "../../memory/page-tables";
import { Ram } from "../../memory/ram";
import { VirtualMemory } from "../../memory/virtual-memory";
import { PeError } from "../../errors";
import { PeImage } from "../images/pe-image";
import { peSourceOfMemory } from "../images/pe-source";
import type { SymbolIdentity } from "../symbols/symbol-identity";

/** How the processor told where the kernel is. */
export type KernelEntry = "LSTAR" | "SYSENTER_EIP" | "IDT[0x2e]" | "IDT[0]" | "PsLoadedModuleList";

/** The image of a Windows kernel in a guest's memory. */
export interface WindowsKernelImage {
  readonly base: bigint;
  readonly image: PeImage;
  /** Which PDB file belongs to it. */
  readonly record: SymbolIdentity;
  /** The vCPU, the register and the address by which it was found. */
  readonly found: { readonly cpu: number; readonly by: KernelEntry; readonly entry: bigint };
  /** The kernel's memory, by the page tables with which it was found. */
  readonly memory: VirtualMemory;
}

/** The kernel's names over the years: one or several processors, with PAE, and for addresses of 57 bits. */
const KERNELS = /^(ntoskrnl|ntkrnlmp|ntkrnlpa|ntkrpamp|ntkrla57)\.pdb$/i;
/** Names that every kernel exports and nothing else does. */
const EXPORTS = ["PsInitialSystemProcess", "NtBuildNumber"];
/** The entry lies at most 11 MB behind the base in kernels up to Windows 11 (measured), whose images have 17 MB. */
const FARTHEST = 0x2000000;
const PAGE = 0x1000n;
const MZ = 0x5a4d;
const SYSTEM_SERVICE = 0x2e;
const KERNEL_HALF_64 = 1n << 63n;
/** Half of the addresses, or with /3GB a quarter. */
const KERNEL_HALF_32 = 0x80000000n;

/** Returns whether a PDB file's name is that of a Windows kernel. */
export function isKernel(name: string): boolean {
  return KERNELS.test(name);
}

/**
 * Finds the Windows kernel that a machine runs, from the vCPUs' registers and memory alone: back from where the processor
 * enters the kernel, page by page, to the image that it lies in. An image with a kernel's name elsewhere is no kernel.
 *
 * @returns undefined when no vCPU enters a Windows kernel: another system, or one that has not started yet
 */
export function findWindowsKernel(source: GuestSource): WindowsKernelImage | undefined {
  const ram = new Ram(source);
  for (const cpu of source.cpus()) {
    const mode = findPagingMode(cpu);
    const found = mode && findOnCpu(ram, cpu, mode);
    if (found) return found;
  }
  return undefined;
}

function findOnCpu(ram: Ram, cpu: CpuFacts, mode: PagingMode): WindowsKernelImage | undefined {
  const memory = new VirtualMemory(ram, new PageTables(ram, mode), pageTableRoot(cpu.cr3, mode));
  for (const { by, entry } of listEntries(cpu, memory)) {
    const found = findBase(memory, entry);
    if (found) return { ...found, memory, found: { cpu: cpu.index, by, entry } };
  }
  return undefined;
}

/** Lists where a vCPU enters the kernel, the surest first. */
function listEntries(cpu: CpuFacts, memory: VirtualMemory): { readonly by: KernelEntry; readonly entry: bigint }[] {
  const wide = memory.pointerSize === 8;
  const entries: { by: KernelEntry; entry: bigint | undefined }[] = [
    wide ? { by: "LSTAR", entry: cpu.lstar } : { by: "SYSENTER_EIP", entry: cpu.sysenterEip },
    ...(wide ? [] : [{ by: "IDT[0x2e]" as const, entry: readGate(cpu, memory, SYSTEM_SERVICE) }]),
    { by: "IDT[0]", entry: readGate(cpu, memory, 0) },
    { by: "PsLoadedModuleList", entry: cpu.kernelData },
  ];
  const lowest = wide ? KERNEL_HALF_64 : KERNEL_HALF_32;
  return entries.flatMap(({ by, entry }) => (entry !== undefined && entry >= lowest ? [{ by, entry }] : []));
}

/** Reads where a vector of the interrupt descriptor table leads (Intel SDM volume 3, 6.11 and 6.14.1). */
function readGate(cpu: CpuFacts, memory: VirtualMemory, vector: number): bigint | undefined {
  const size = memory.pointerSize === 8 ? 16 : 8;
  if (cpu.idtLimit < (vector + 1) * size - 1) return undefined;
  const gate = memory.readSome(cpu.idtBase + BigInt(vector * size), size);
  if (gate.length < size || ((gate[5] as number) & 0x80) === 0) return undefined;
  const low = BigInt(gate.readUInt16LE(0)) | (BigInt(gate.readUInt16LE(6)) << 16n);
  return size === 16 ? (BigInt(gate.readUInt32LE(8)) << 32n) | low : low;
}

/** Pages that are not mapped are skipped: discardable sections leave gaps. Other images may lie in between. */
function findBase(
  memory: VirtualMemory,
  entry: bigint,
): Pick<WindowsKernelImage, "base" | "image" | "record"> | undefined {
  const start = entry - (entry % PAGE);
  for (let back = 0n; back <= BigInt(FARTHEST) && back <= start; back += PAGE) {
    const base = start - back;
    // Of thousands of pages most are none: no buffer is made for them.
    const physical = memory.translate(base);
    if (physical < 0 || (memory.ram.findWord32(physical) & 0xffff) !== MZ) continue;
    const found = readKernel(memory, base, entry);
    if (found) return found;
  }
  return undefined;
}

function readKernel(
  memory: VirtualMemory,
  base: bigint,
  entry: bigint,
): Pick<WindowsKernelImage, "base" | "image" | "record"> | undefined {
  try {
    const image = new PeImage(peSourceOfMemory(memory, base));
    const { bits, imageSize } = image.header;
    if (bits !== memory.pointerSize * 8 || entry - base >= BigInt(imageSize)) return undefined;
    const record = image.debugRecord;
    if (record === undefined || !isKernel(record.name)) return undefined;
    return hasExports(image) ? { base, image, record } : undefined;
  } catch (error) {
    if (error instanceof PeError) return undefined;
    throw error;
  }
}

/** Returns whether the image of a Windows kernel begins at an address. */
export function readKernelAt(memory: VirtualMemory, base: bigint): boolean {
  return readKernel(memory, base, base) !== undefined;
}

/** Where the exports are not in memory, the name and the entry have to do. */
function hasExports(image: PeImage): boolean {
  try {
    return EXPORTS.every((name) => image.exports.find(name) !== undefined);
  } catch (error) {
    if (error instanceof PeError) return true;
    throw error;
  }
}
