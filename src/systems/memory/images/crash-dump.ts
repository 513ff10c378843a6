import { ImageError } from "../../errors";
import type { CpuFacts } from "../guest-source";
import { CONTEXT_32, CONTEXT_64, CRASH_32, CRASH_64, type CrashHeaderLayout } from "./crash-layouts";
import { checkParts } from "./elf-core";
import type { FileBytes, ImageLayout, ImagePart } from "./image-layout";
import { readPageMap } from "./page-map";
import { readRegisters } from "./register-layouts";

const PAGE = 0x1000;
/** Of the header in the words of the WDK's ntiodump.h: PHYSICAL_MEMORY_BLOCK, whose runs must lie within it. */
const RUNS_BLOCK_SIZE = 700;
const CR0_PAGING = 0x80000011n;
const CR4_PAE = 0x20n;
const EFER_LONG = 0x500n;
/** winnt.h: IMAGE_FILE_MACHINE_*. */
const MACHINES: Readonly<Record<number, string>> = { 0xaa64: "ARM64", 0x1c4: "ARM", 0x200: "Itanium" };

/** DumpType of the header: what the file holds. */
const FULL = 1;
const SUMMARY = 2;
const BITMAP_FULL = 5;
const BITMAP_KERNEL = 6;
const WITHOUT_MEMORY: Readonly<Record<number, string>> = {
  3: "a crash dump of Windows that has only a header",
  4: "a small crash dump of Windows (triage): it holds a few stacks and no physical memory; a kernel or complete dump does",
};

/** Returns whether a file begins as a crash dump of Windows does. */
export function isCrashDump(start: Buffer): boolean {
  return findHeaderLayout(start) !== undefined;
}

/**
 * Reads the layout of a crash dump of Windows: a complete one, one of the kernel's pages, or one with a bitmap of pages, of 32
 * and of 64 bits. Its header says by which page tables its memory is read, and where the kernel has its list of modules.
 *
 * @throws ImageError when it has no physical memory, is cut off, of another processor, or does not fit together
 */
export function readCrashDump(file: FileBytes): ImageLayout {
  const layout = findHeaderLayout(file.read(0, Math.min(8, file.size)));
  if (!layout) throw new ImageError("this is no crash dump of Windows");
  if (file.size < layout.size) {
    throw new ImageError(`the crash dump is cut off: its header has ${layout.size} bytes, the file ${file.size}`);
  }
  const header = file.read(0, layout.size);
  checkMachine(header, layout);
  const parts = readParts(file, header, layout).toSorted((a, b) => a.address - b.address);
  checkParts(parts, file.size);
  const context = layout.bits === 64 ? CONTEXT_64 : CONTEXT_32;
  const registers = readRegisters(context, header.subarray(layout.contextAt, layout.contextAt + context.size));
  const facts = readFacts(header, layout);
  registers.set("CR3", facts.cr3);
  return { format: "crash", parts, cpus: [{ index: 0, registers, isLong: layout.bits === 64 }], facts: [facts] };
}

function findHeaderLayout(start: Buffer): CrashHeaderLayout | undefined {
  const magic = start.toString("latin1", 0, 8);
  return [CRASH_64, CRASH_32].find((layout) => layout.magic === magic);
}

function checkMachine(header: Buffer, { machineAt, machine }: CrashHeaderLayout): void {
  const found = header.readUInt32LE(machineAt);
  if (found === machine) return;
  const name = MACHINES[found] ?? `machine 0x${found.toString(16)}`;
  throw new ImageError(`a crash dump of another processor (${name}): only x86 is known`);
}

function readParts(file: FileBytes, header: Buffer, layout: CrashHeaderLayout): ImagePart[] {
  const type = header.readUInt32LE(layout.typeAt);
  if (type === FULL) return readRuns(header, layout);
  if (type === SUMMARY || type === BITMAP_FULL || type === BITMAP_KERNEL) {
    return readPageMap(file, layout.size, type === SUMMARY ? layout.summary : "wide");
  }
  throw new ImageError(WITHOUT_MEMORY[type] ?? `a crash dump of Windows of the unknown type ${type}`);
}

/** The runs of a complete dump lie behind the header, one behind the other. */
function readRuns(header: Buffer, { bits, runsAt, size }: CrashHeaderLayout): ImagePart[] {
  const [wordSize, firstAt] = bits === 64 ? [8, runsAt + 16] : [4, runsAt + 8];
  const most = Math.floor((RUNS_BLOCK_SIZE - (firstAt - runsAt)) / (2 * wordSize));
  const count = header.readUInt32LE(runsAt);
  if (count === 0 || count > most) {
    throw new ImageError(`the crash dump is damaged: it says that memory has ${count} runs, and has room for ${most}`);
  }
  let offset = size;
  return Array.from({ length: count }, (_, index) => {
    const at = firstAt + index * 2 * wordSize;
    const part = {
      address: readWord(header, at, wordSize) * PAGE,
      offset,
      size: readWord(header, at + wordSize, wordSize) * PAGE,
    };
    offset += part.size;
    return part;
  }).filter((part) => part.size > 0);
}

function readFacts(header: Buffer, { bits, tablesAt, paeAt, modulesAt }: CrashHeaderLayout): CpuFacts {
  const isLong = bits === 64;
  const wide = isLong || header[paeAt] === 1;
  return {
    ...{ index: 0, cr0: CR0_PAGING, cr4: wide ? CR4_PAE : 0n, efer: isLong ? EFER_LONG : 0n },
    ...{ lstar: 0n, sysenterEip: 0n, idtBase: 0n, idtLimit: 0 },
    cr3: isLong ? header.readBigUInt64LE(tablesAt) : BigInt(header.readUInt32LE(tablesAt)),
    // Of old 32-bit kernels it is sign-extended or not: the low word is it.
    kernelData: isLong ? header.readBigUInt64LE(modulesAt) : BigInt(header.readUInt32LE(modulesAt)),
  };
}

function readWord(bytes: Buffer, at: number, size: number): number {
  return size === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at);
}
