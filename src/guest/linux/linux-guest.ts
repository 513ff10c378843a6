import { type GuestClock, readClock } from "./clock";
import { GuestSymbols } from "./guest-symbols";
import { type LogRecord, readKernelLog } from "./kernel-log";
import { type KernelModule, listKernelModules } from "./kernel-module";
import type { LinuxKernel } from "./linux-kernel";
import { LinuxProcess } from "./linux-process";
import { MemoryMapReader } from "./memory-map";
import { PathReader } from "./path-reader";
import { TaskReader } from "./task-reader";

/** What a Linux guest is doing, read from its memory. */
export class LinuxGuest {
  /** Reads single tasks, by the address of their task_struct. */
  readonly tasks: TaskReader;
  /** The names of addresses, of the kernel and of what processes have mapped. */
  readonly symbols: GuestSymbols;
  #paths: PathReader | undefined;
  #maps: MemoryMapReader | undefined;

  constructor(readonly kernel: LinuxKernel) {
    this.tasks = new TaskReader(kernel);
    this.symbols = new GuestSymbols(this);
  }

  get paths(): PathReader {
    this.#paths ??= new PathReader(this.kernel);
    return this.#paths;
  }

  get maps(): MemoryMapReader {
    this.#maps ??= new MemoryMapReader(this.kernel, this.paths);
    return this.#maps;
  }

  /** The guest's clock, as of its kernel's last tick. */
  get clock(): GuestClock {
    return readClock(this.kernel);
  }

  /**
   * Lists the processes, kernel threads included, in the order in which they were started.
   *
   * @throws KernelDataError when the kernel's list is damaged
   */
  getProcessList(): LinuxProcess[] {
    const facts = [...this.tasks.list()];
    const pids = new Map(facts.map(({ kaddr, tgid }) => [kaddr, tgid]));
    // A parent that is not in the list is a thread of another process, or the idle task.
    const findPid = (task: bigint): number => pids.get(task) ?? (task === 0n ? 0 : this.tasks.read(task).tgid);
    return facts.map((task) => new LinuxProcess(this, task, findPid(task.parent)));
  }

  /** Finds the process that has an address space. */
  findProcess(pgd: bigint): LinuxProcess | undefined {
    return pgd === 0n ? undefined : this.getProcessList().find((process) => process.pgd === pgd);
  }

  /** Lists the kernel modules, the one that was loaded last first. @throws KernelDataError */
  getKernelModules(): KernelModule[] {
    return listKernelModules(this.kernel);
  }

  /** Reads the kernel's log, oldest record first. @throws KernelDataError */
  getKernelLog(): LogRecord[] {
    return readKernelLog(this.kernel);
  }
}
