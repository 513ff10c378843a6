import type { LinuxKernel } from "../../systems/linux/structs/linux-kernel";
import type { TaskFacts } from "../../systems/linux/processes/task-reader";
import type { ProcessEnd } from "./scope-event";

/** All threads end together (include/linux/sched/signal.h). */
const SIGNAL_GROUP_EXIT = 4;

/** Finds out how a process has ended, by the ends of its threads (kernel/exit.c: wait_task_zombie()). */
export class ProcessEndReader {
  readonly #kernel: LinuxKernel;
  #code = 0;

  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
  }

  /**
   * Notes a thread that is about to end.
   *
   * @param code what do_exit() is given: a status above a signal's number
   */
  note({ kaddr, tid, tgid }: TaskFacts, code: number): void {
    const signal = this.#kernel.at("task_struct", kaddr).follow("signal");
    if (signal !== undefined && (signal.number("flags") & SIGNAL_GROUP_EXIT) !== 0) {
      this.#code = signal.number("group_exit_code");
    } else if (tid === tgid) {
      this.#code = code;
    }
  }

  /** The end, once all threads have been noted. */
  get end(): ProcessEnd {
    const signal = this.#code & 0x7f;
    return signal === 0 ? { status: (this.#code >> 8) & 0xff } : { signal };
  }
}
