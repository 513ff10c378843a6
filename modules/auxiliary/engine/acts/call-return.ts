/** Finds where a system call returns to. */
import { type Cpu, findGuest, type LinuxGuest, type SystemCallEntry } from "rebox";
import { findRunningProcess } from "rebox/trusted";

/** The place in a program behind a system call. */
export interface ReturnPlace {
  readonly address: bigint;
  /** The program's stack pointer there, which tells threads apart. */
  readonly stack: bigint;
}

/**
 * Finds where a call returns to, at the kernel's first instruction of it; undefined when that cannot be told.
 *
 * "syscall" of 64 bits leaves the address in RCX (Intel SDM volume 2, SYSCALL), "int 0x80" on the kernel's stack (volume 3,
 * figures 6-4 and 6-8). The other two come back at one place of the vdso, whichever was used (arch/x86/entry/common.c,
 * do_fast_syscall_32).
 */
export function findReturnPlace({ instruction, bits }: SystemCallEntry, cpu: Cpu): ReturnPlace | undefined {
  if (bits === 64) return { address: cpu.RCX, stack: cpu.RSP };
  const guest = findGuest();
  if (guest === undefined) return undefined;
  try {
    if (instruction === "int 0x80") return readFrame(guest, cpu);
    const address = findLandingPad(guest, cpu);
    // The vdso keeps the stack pointer in EBP before "sysenter" (arch/x86/entry/vdso/vdso32/system_call.S).
    if (address === undefined) return undefined;
    return { address, stack: instruction === "sysenter" ? cpu.EBP : cpu.ESP };
  } catch {
    // The kernel's tables are damaged.
    return undefined;
  }
}

/** Reads the address behind the interrupt and the stack pointer, which the processor has put on the kernel's stack. */
function readFrame({ kernel: { memory, bits } }: LinuxGuest, cpu: Cpu): ReturnPlace | undefined {
  const size = BigInt(bits / 8);
  const at = bits === 64 ? cpu.RSP : cpu.ESP;
  const segment = memory.pointer(at + size);
  // The kernel calls nothing so, and has no stack pointer there.
  if ((segment & 3n) === 0n) return undefined;
  // Also a program of 64 bits may make such calls. The low half of its stack pointer tells threads apart as well.
  return { address: memory.pointer(at), stack: BigInt.asUintN(32, memory.pointer(at + 3n * size)) };
}

function findLandingPad({ kernel }: LinuxGuest, cpu: Cpu): bigint | undefined {
  const image = kernel.findSymbol("vdso_image_32");
  const task = findRunningProcess(cpu)?.kaddr;
  if (image === undefined || task === undefined) return undefined;
  const vdso = kernel.at("task_struct", task).follow("mm")?.value("context.vdso") ?? 0n;
  return vdso === 0n ? undefined : vdso + kernel.at("vdso_image", image).value("sym_int80_landing_pad");
}
