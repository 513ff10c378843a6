import type { ScopeConditions } from "./scope-conditions";
import type { ScopeOrigin } from "./scope-event";

/** Tasks whose end is under way are known up to so many; a kernel may not say when one has ended. */
const MOST_ENDING = 1000;

/** A task in a scope. */
export interface ScopeTask {
  readonly pid: number;
  readonly origin: ScopeOrigin;
}

/** The tasks of a scope and their processes, by the addresses of the task_struct; the sets that the addon asks are kept with them. */
export class ScopeTasks {
  readonly #tasks = new Map<bigint, ScopeTask>();
  /** The number of tasks of each process, by pid. */
  readonly #processes = new Map<number, { origin: ScopeOrigin; tasks: number }>();
  /**
   * Tasks that are within do_exit(): there files are closed that nothing else closes. The addon takes those out of its set that the
   * kernel has freed.
   */
  readonly #ending = new Map<bigint, number>();
  #processCount = 0;

  constructor(private readonly conditions: ScopeConditions) {}

  /** The number of processes that have ever been in the scope. */
  get processCount(): number {
    return this.#processCount;
  }

  /** Whether no task is in the scope. */
  get isEmpty(): boolean {
    return this.#tasks.size === 0;
  }

  /** Finds a task that has not begun to end. */
  find(task: bigint): ScopeTask | undefined {
    return this.#tasks.get(task);
  }

  /** Finds the process of a task that is within do_exit(). */
  findEnding(task: bigint): number | undefined {
    return this.conditions.ending.has(task) ? this.#ending.get(task) : undefined;
  }

  /** Finds whose a living process is. */
  findOrigin(pid: number): ScopeOrigin | undefined {
    return this.#processes.get(pid)?.origin;
  }

  /** Adds a task that is not there. */
  add(task: bigint, pid: number, origin: ScopeOrigin): void {
    this.#tasks.set(task, { pid, origin });
    this.conditions.living.add(task);
    const known = this.#processes.get(pid);
    if (known === undefined) {
      this.#processes.set(pid, { origin, tasks: 1 });
      this.#processCount++;
    } else {
      known.tasks++;
    }
  }

  /**
   * Notes that a task begins to end: it is in the scope no longer.
   *
   * @returns its process, and whether it was the last task of that; undefined for one that is not in the scope
   */
  end(task: bigint): { readonly pid: number; readonly isLast: boolean } | undefined {
    const pid = this.#tasks.get(task)?.pid;
    if (pid === undefined) return undefined;
    this.#tasks.delete(task);
    this.conditions.living.delete(task);
    this.#ending.set(task, pid);
    this.conditions.ending.add(task);
    if (this.#ending.size > MOST_ENDING) this.#sweepEnding();
    const process = this.#processes.get(pid);
    const isLast = process !== undefined && --process.tasks === 0;
    if (isLast) this.#processes.delete(pid);
    return { pid, isLast };
  }

  #sweepEnding(): void {
    for (const task of this.#ending.keys()) if (!this.conditions.ending.has(task)) this.#ending.delete(task);
    if (this.#ending.size > MOST_ENDING) this.forgetEnding(this.#ending.keys().next().value as bigint);
  }

  /** Forgets a task that has ended: its place is another's now. */
  forgetEnding(task: bigint): void {
    if (this.#ending.delete(task)) this.conditions.ending.delete(task);
  }
}
