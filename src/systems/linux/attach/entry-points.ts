import type { CpuFacts } from "../../memory/guest-source";
import { type PageTables, pageTableRoot } from "../../memory/page-tables";
import type { Ram } from "../../memory/ram";
import { VirtualMemory } from "../../memory/virtual-memory";

/** Divide error, breakpoint, invalid opcode, general protection, page fault: every kernel handles them. */
const VECTORS = [14, 13, 6, 3, 0];
const KERNEL_HALF_64 = 1n << 63n;
/** The lowest PAGE_OFFSET that a 32-bit kernel can be built with (CONFIG_VMSPLIT_1G). */
const KERNEL_HALF_32 = 0x40000000n;

/** Lists where a vCPU enters the kernel: system calls first, then exceptions. Empty before the kernel has set it up. */
export function findEntryPoints(ram: Ram, tables: PageTables, cpu: CpuFacts): bigint[] {
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
