import type { Cpu } from "../../machine/state/cpu";

/**
 * Reads an argument of the function of the kernel that a vCPU is about to execute.
 *
 * The System V ABI for x86-64; on 32 bits the kernel is compiled with -mregparm=3 (arch/x86/Makefile).
 *
 * @param index from 0
 */
export function readArgument(cpu: Cpu, index: 0 | 1, bits: 32 | 64): bigint {
  if (bits === 64) return index === 0 ? cpu.RDI : cpu.RSI;
  return index === 0 ? cpu.EAX : cpu.EDX;
}
