import type { CpuFacts } from "../guest-source";

const CR0_PG = 1n << 31n;
/** Long mode is active: what an x86-64 core of a kernel implies, whose notes lack the register itself. */
const EFER_LMA = 1n << 10n;

/** The state of one vCPU in an image. */
export interface SavedCpu {
  readonly index: number;
  /** By the names of RegisterName. Those that the file lacks are not there. */
  readonly registers: ReadonlyMap<string, bigint>;
  /** Whether the file says that it is a machine of 64 bits. */
  readonly isLong: boolean;
}

/** Finds what the kernel is found by; undefined when the image lacks it, or paging was off. */
export function findCpuFacts({ index, registers, isLong }: SavedCpu): CpuFacts | undefined {
  const [cr0, cr3, cr4, idtBase] = ["CR0", "CR3", "CR4", "IDT_BASE"].map((name) => registers.get(name));
  if (cr0 === undefined || cr3 === undefined || cr4 === undefined || idtBase === undefined) return undefined;
  if ((cr0 & CR0_PG) === 0n) return undefined;
  return {
    ...{ index, cr0, cr3, cr4, idtBase },
    efer: registers.get("EFER") ?? (isLong ? EFER_LMA : 0n),
    lstar: registers.get("LSTAR") ?? 0n,
    sysenterEip: registers.get("SYSENTER_EIP") ?? 0n,
    idtLimit: Number(registers.get("IDT_LIMIT") ?? 0n),
  };
}
