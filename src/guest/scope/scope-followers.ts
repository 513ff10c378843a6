import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { type Execution, readExecution } from "../../systems/linux/processes/execution";
import type { TaskFacts } from "../../systems/linux/processes/task-reader";
import type { ScopeOrigin } from "./scope-event";

/** A process of a scope, as those are told of it who follow the scope. */
export interface ScopeProcess {
  readonly pid: number;
  readonly ppid: number;
  /** Of its page table: that of its parent after vfork(2). */
  readonly pgd: bigint;
  readonly name: string;
  readonly origin: ScopeOrigin;
}

/** Is told of the processes of a scope, at once; each function may be left out. */
export interface ScopeFollower {
  /** A process is complete, and has not run yet. Those that are adopted have begun before: see onAdoption(). */
  begins?(process: ScopeProcess): void;
  /** A program is complete, and has executed no instruction. */
  executes?(execution: Execution, ppid: number, origin: ScopeOrigin, task: TaskFacts): void;
  /** The last thread of a process begins to end; its memory is there. */
  ends?(process: { readonly pid: number; readonly pgd: bigint; readonly name: string }): void;
}

/** Tells those who follow a scope of its processes; nothing is read while nobody does. */
export class ScopeFollowers {
  readonly #followers = new Set<ScopeFollower>();

  constructor(private readonly guest: LinuxGuest) {}

  /** @returns the function that ends it */
  add(follower: ScopeFollower): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  /** A new task is a thread of its process, or its first one. */
  tellBegin({ tgid: pid, tid, pgd, name, parent }: TaskFacts, origin: ScopeOrigin): void {
    if (tid !== pid || this.#followers.size === 0) return;
    const ppid = this.guest.tasks.read(parent).tgid;
    for (const follower of this.#followers) follower.begins?.({ pid, ppid, pgd, name, origin });
  }

  /** The program of a task is complete. */
  tellProgram(address: bigint, origin: ScopeOrigin): void {
    if (this.#followers.size === 0) return;
    const task = this.guest.tasks.read(address);
    const ppid = this.guest.tasks.read(task.parent).tgid;
    const execution = readExecution(this.guest, task);
    for (const follower of this.#followers) follower.executes?.(execution, ppid, origin, task);
  }

  /** The last task of a process ends; a process is called what its first thread is called. */
  tellEnd(address: bigint, pid: number): void {
    if (this.#followers.size === 0) return;
    const leader = this.guest.kernel.at("task_struct", address).value("group_leader");
    const { pgd } = this.guest.tasks.read(address);
    const { name } = this.guest.tasks.read(leader);
    for (const follower of this.#followers) follower.ends?.({ pid, pgd, name });
  }
}
