/** A parameter of a system call, of Linux in the words of the kernel's source: {type: "const char *", name: "filename"}. */
export interface SystemCallParameter {
  readonly type: string;
  readonly name: string;
}

/** A system call of the guest's kernel. */
export interface SystemCall {
  /** Of the programs that make it: those of 32 bits have other numbers, also under a kernel of 64. */
  readonly bits: 32 | 64;
  readonly number: number;
  /** As the kernel calls the function: "openat", "newstat", "NtCreateFile". */
  readonly name: string;
  /** Undefined when the kernel does not describe them (CONFIG_FTRACE_SYSCALLS; in Windows those that lie in registers). */
  readonly parameters: readonly SystemCallParameter[] | undefined;
}
