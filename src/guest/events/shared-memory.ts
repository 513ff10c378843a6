import { Engine } from "../../machine/engine/engine";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { TaskFacts } from "../../systems/linux/processes/task-reader";

const MOST_LEAVING = 10_000;

/** Knows which tasks still use an address space when one of them leaves it. */
export class SharedMemory {
  readonly #guest: LinuxGuest;
  readonly #users: bigint;
  /** Tasks that have left an address space for good, although they may still be seen to have it. */
  readonly #left = new Map<bigint, bigint>();

  /** @throws MissingTypeError */
  constructor(guest: LinuxGuest) {
    this.#guest = guest;
    this.#users = BigInt(guest.kernel.offset("mm_struct", "mm_users"));
    this.#suspend();
  }

  /** A task_struct that is a new task's now. */
  forget(task: bigint): void {
    if (this.#left.size === 0) return;
    this.#left.delete(task);
    this.#suspend();
  }

  /** Reports whether an address space may have several users: tasks that have it, and readers such as /proc. */
  mayBeShared(mm: bigint): boolean {
    return this.#guest.kernel.memory.u32(mm + this.#users) > 1;
  }

  /**
   * Notes that a task leaves its address space.
   *
   * @returns whether it was the last one there
   * @throws KernelDataError when the kernel's list of tasks is damaged
   */
  leave(task: TaskFacts): boolean {
    const { mm, kaddr } = task;
    // A reader of the memory, such as /proc, counts as a user too, so a count above one may still mean one task.
    if (this.mayBeShared(mm) && this.#hasOthers(task)) {
      if (this.#left.size >= MOST_LEAVING) this.#prune();
      this.#left.set(kaddr, mm);
      this.#suspend();
      return false;
    }
    if (this.#left.size > 0) {
      for (const [left, from] of this.#left) if (from === mm) this.#left.delete(left);
      this.#suspend();
    }
    return true;
  }

  /** While somebody is on the way out, the addon must not decide alone. */
  #suspend(): void {
    Engine.get().native.suspendProcessHooks(this.#left.size > 0);
  }

  #hasOthers({ kaddr, mm }: TaskFacts): boolean {
    const isUser = (other: TaskFacts): boolean =>
      other.mm === mm && other.kaddr !== kaddr && !other.isKernelThread && this.#left.get(other.kaddr) !== mm;
    // Most often it is a thread of the same process.
    for (const thread of this.#guest.tasks.listThreads(kaddr)) if (isUser(thread)) return true;
    for (const leader of this.#guest.tasks.list()) {
      if (isUser(leader)) return true;
      // A first thread that has ended stays until the others have.
      if (leader.mm === 0n && !leader.isKernelThread) {
        for (const thread of this.#guest.tasks.listThreads(leader.kaddr)) if (isUser(thread)) return true;
      }
    }
    return false;
  }

  /** Forgets tasks that have left long ago, and those whose task_struct is gone. */
  #prune(): void {
    for (const [task, mm] of this.#left) {
      try {
        if (this.#guest.tasks.read(task).mm === mm) continue;
      } catch {
        // Gone.
      }
      this.#left.delete(task);
    }
    if (this.#left.size >= MOST_LEAVING) this.#left.clear();
  }
}
