import { ReboxError } from "../../config/rebox-error";
import { getCpus } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { walkList } from "../../systems/structs/kernel-list";
import { CurrentTask } from "../events/current-task";

/** Between two looks at the tasks, in milliseconds. */
const LOOK_MS = 30;
/** So many looks in a row find the guest at rest: systemd starts a unit again after a tenth of a second. */
const LOOKS = 10;
/** A guest that never comes to rest, or cannot be looked at, has so long, in milliseconds. */
const LIMIT_MS = 3_000;

// Values of task_struct.__state (include/linux/sched.h).
const RUNNING = 0;
const UNINTERRUPTIBLE = 2;
const WAKING = 0x200;
const NOLOAD = 0x400;
const NEW = 0x800;

/**
 * Waits until a guest has come to rest: no task is about to run or waits for a disk, and the vCPUs are idle, for a while. Acts
 * of programs that have ended have had their consequences then: data has left, another process was told and has done its part. Only
 * the time can still start something.
 */
export class GuestRest {
  readonly #tasks: TaskStates;
  readonly #begunMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #looks = 0;

  /**
   * @param isPending whether something is known to be on its way
   * @param onRest is called once, when the guest has come to rest, or never seems to
   */
  constructor(guest: LinuxGuest, isPending: () => boolean, onRest: () => void) {
    this.#tasks = new TaskStates(guest);
    this.#timer = setInterval(() => {
      this.#looks = isPending() || !this.#tasks.areIdle() ? 0 : this.#looks + 1;
      if (this.#looks < LOOKS && performance.now() - this.#begunMs < LIMIT_MS) return;
      this.end();
      onRest();
    }, LOOK_MS);
  }

  /** Waits no longer. */
  end(): void {
    clearInterval(this.#timer);
  }
}

/** Looks at the states of all tasks. */
class TaskStates {
  readonly #current: CurrentTask;

  constructor(private readonly guest: LinuxGuest) {
    this.#current = new CurrentTask(guest);
  }

  /** Returns whether no vCPU executes a task, and no task is to be executed; false when that cannot be read at this moment. */
  areIdle(): boolean {
    const { kernel, tasks } = this.guest;
    try {
      for (const cpu of getCpus()) {
        const task = this.#current.findAddress(cpu);
        // That of a vCPU that has not been started is none, and in user mode the register is the program's.
        if (task === undefined || tasks.read(task).tid !== 0) return false;
      }
      // 5.14, commit 2f064a59a11f: state became __state.
      const state = BigInt(kernel.offset("task_struct", "__state", "state"));
      const signal = BigInt(kernel.offset("task_struct", "signal"));
      const [node, head] = [kernel.offset("task_struct", "thread_node"), kernel.offset("signal_struct", "thread_head")];
      const list = kernel.offset("task_struct", "tasks");
      const { memory } = kernel;
      for (const leader of walkList(memory, kernel.symbol("init_task") + BigInt(list), "the list of tasks", list)) {
        const threads = memory.pointer(leader + signal) + BigInt(head);
        for (const thread of walkList(memory, threads, "the threads of a process", node)) {
          if (isBusy(memory.u32(thread + state))) return false;
        }
      }
      return true;
    } catch (error) {
      if (error instanceof ReboxError) return false;
      throw error;
    }
  }
}

function isBusy(state: number): boolean {
  if (state === RUNNING) return true;
  return (state & (WAKING | NEW)) !== 0 || (state & (UNINTERRUPTIBLE | NOLOAD)) === UNINTERRUPTIBLE;
}
