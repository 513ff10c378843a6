import type { RegisterName } from "../machine/state/cpu";

/** Where programs enter the kernel with a system call, and where its number and arguments are then. */
export interface SystemCallEntry {
  readonly instruction: "syscall" | "sysenter" | "int 0x80";
  readonly bits: 32 | 64;
  /** Of the kernel's first instruction. */
  readonly address: bigint;
  readonly number: RegisterName;
  readonly arguments: readonly RegisterName[];
  /** The register whose value is the address of the sixth argument, when that is in memory. */
  readonly sixthAt?: RegisterName;
}
