import type { LinuxGuest } from "./linux-guest";
import type { TaskFacts } from "./task-reader";

/** A process of the guest, as it was when the list was made; what is asked for later is read then. */
export class LinuxProcess {
  readonly pid: number;
  /** The parent's pid; 0 for the first processes. */
  readonly ppid: number;
  /** The address space, as callbacks report it; 0 for a kernel thread and for a process that has ended (a zombie). */
  readonly pgd: bigint;
  /** What the kernel calls it: at most 15 bytes, which the process chooses. */
  readonly name: string;
  /** The address of its task_struct. */
  readonly kaddr: bigint;
  readonly isKernelThread: boolean;

  constructor(_guest: LinuxGuest, facts: TaskFacts, ppid: number) {
    this.pid = facts.tgid;
    this.ppid = ppid;
    this.pgd = facts.pgd;
    this.name = facts.name;
    this.kaddr = facts.kaddr;
    this.isKernelThread = facts.isKernelThread;
  }
}
