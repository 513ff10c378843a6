import type { LinuxKernel } from "./linux-kernel";
import { LinuxProcess } from "./linux-process";
import { TaskReader } from "./task-reader";

/** What a Linux guest is doing, read from its memory. */
export class LinuxGuest {
  readonly tasks: TaskReader;

  constructor(readonly kernel: LinuxKernel) {
    this.tasks = new TaskReader(kernel);
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
}
