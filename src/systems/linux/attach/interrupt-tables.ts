import { listPages, type Ram, type RamRange } from "../../memory/ram";

/** A page that holds an interrupt descriptor table of Linux. */
export interface InterruptTable {
  /** Physical. */
  readonly address: number;
  readonly bits: 32 | 64;
  /** The address at which page faults enter the kernel. */
  readonly handler: bigint;
  /** As the processor's register would have it: the size in bytes less one. */
  readonly limit: number;
}

/** Divide error, invalid opcode, general protection, page fault. */
const VECTORS = [0, 6, 13, 14];
const PAGE_FAULT = 14;
/** arch/x86/include/asm/segment.h: __KERNEL_CS. */
const CODE_SEGMENT_64 = 0x10;
const CODE_SEGMENT_32 = 0x60;
/** Present, privilege level 0, a gate for interrupts (Intel SDM volume 3, 6.11). */
const INTERRUPT_GATE = 0x8e;
const HIGH_HALF = 0xffffffff;
const LOWEST_KERNEL_32 = 0x40000000;
/** The decompressor and a kernel that was left by kexec have tables of their own; more are made to take time. */
const MOST_TABLES = 16;

/** Finds the pages that hold an interrupt descriptor table, which Linux keeps at the start of a page (idt_table). */
export function findInterruptTables(ram: Ram, spans: readonly RamRange[]): InterruptTable[] {
  const found: InterruptTable[] = [];
  for (const page of listPages(spans)) {
    // Nearly every page ends here.
    if (
      ram.findWord32(page + PAGE_FAULT * 16 + 8) === HIGH_HALF &&
      VECTORS.every((vector) => isWide(ram, page, vector))
    ) {
      const handler = (BigInt(HIGH_HALF) << 32n) | BigInt(readOffset(ram, page + PAGE_FAULT * 16));
      found.push({ address: page, bits: 64, handler, limit: 0xfff });
    } else if (
      ram.findWord32(page + PAGE_FAULT * 8) >>> 16 === CODE_SEGMENT_32 &&
      VECTORS.every((vector) => isNarrow(ram, page, vector))
    ) {
      found.push({ address: page, bits: 32, handler: BigInt(readOffset(ram, page + PAGE_FAULT * 8)), limit: 0x7ff });
    }
    if (found.length === MOST_TABLES) break;
  }
  return found;
}

function isGate(ram: Ram, at: number, segment: number): boolean {
  const isSegment = ram.findWord32(at) >>> 16 === segment;
  return isSegment && ((ram.findWord32(at + 4) >>> 8) & 0xff) === INTERRUPT_GATE;
}

function isWide(ram: Ram, page: number, vector: number): boolean {
  const at = page + vector * 16;
  return isGate(ram, at, CODE_SEGMENT_64) && ram.findWord32(at + 8) === HIGH_HALF && ram.findWord32(at + 12) === 0;
}

function isNarrow(ram: Ram, page: number, vector: number): boolean {
  const at = page + vector * 8;
  return isGate(ram, at, CODE_SEGMENT_32) && readOffset(ram, at) >= LOWEST_KERNEL_32;
}

/** The low 32 bits of the handler's address. */
function readOffset(ram: Ram, at: number): number {
  return ((ram.findWord32(at + 4) & 0xffff0000) | (ram.findWord32(at) & 0xffff)) >>> 0;
}
