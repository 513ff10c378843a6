import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { ScopeConditions } from "./scope-conditions";
import type { ScopeHooks } from "./scope-hooks";

/** The system call by which a program is executed, in all its forms (arch/x86/entry/syscalls/). */
const EXECUTIONS = ["execve", "execveat"].flatMap((call) =>
  ["__x64_sys_", "__x64_compat_sys_", "__x32_compat_sys_", "__ia32_sys_", "__ia32_compat_sys_", "sys_"].map(
    (prefix) => prefix + call,
  ),
);

/**
 * A program without a folder is searched for along PATH by trying: these errors of include/uapi/asm-generic/errno-base.h only mean
 * that the search goes on (execvp() of glibc and musl, shells). The greater of them is what the search ends with.
 */
const SEARCHING = new Map([
  [20, 1],
  [2, 2],
  [13, 3],
]);

/** The process that will execute the target of an analysis, from when it is found until it does, or is refused. */
export class Launcher {
  #isExecuting = false;
  #isRefused = false;
  #searchErrno: number | undefined;

  private constructor(
    readonly task: bigint,
    readonly pid: number,
    private readonly conditions: ScopeConditions,
  ) {}

  /**
   * Finds a process by its number, and watches how it executes the target.
   *
   * @param onRefused is called when the kernel does not execute it and the launcher would go on in a way of its own, with the number
   *   of the error
   * @returns undefined when there is no such process
   */
  static find(
    guest: LinuxGuest,
    pid: number,
    hooks: ScopeHooks,
    conditions: ScopeConditions,
    onRefused: (errno: number) => void,
  ): Launcher | undefined {
    // A program is executed by what is its first thread by then.
    for (const { tid, kaddr } of guest.tasks.list()) {
      if (tid !== pid) continue;
      const launcher = new Launcher(kaddr, pid, conditions);
      launcher.#watch(hooks, onRefused);
      return launcher;
    }
    return undefined;
  }

  /** Whether there is no way back from the target to the launcher's own program. */
  get isExecuting(): boolean {
    return this.#isExecuting;
  }

  /** The error with which the search for the program has ended, once the launcher is gone without having executed the target. */
  get searchErrno(): number | undefined {
    return this.#searchErrno;
  }

  /** Notes that a task has passed the point behind which its program of before is gone. */
  notePoint(task: bigint): void {
    if (task === this.task) this.#isExecuting = true;
  }

  /** It is the target now, or has ended. */
  forget(): void {
    this.conditions.launcher.clear();
  }

  #watch(hooks: ScopeHooks, onRefused: (errno: number) => void): void {
    this.conditions.launcher.add(this.task);
    const onExecution = (cpu: Cpu): void => {
      if (this.#isRefused) return;
      hooks.onReturn(cpu, (result) => {
        if (result < 0n) this.#noteError(Number(-result), onRefused);
      });
    };
    hooks.addAll(EXECUTIONS, onExecution, [[this.conditions.runs(this.conditions.launcher)]]);
  }

  #noteError(errno: number, onRefused: (errno: number) => void): void {
    const rank = SEARCHING.get(errno);
    if (rank === undefined) {
      // A shell tries again in ways of its own: what counts is what the kernel says to the target itself.
      if (!this.#isRefused) onRefused(errno);
      this.#isRefused = true;
    } else if (rank > (SEARCHING.get(this.#searchErrno ?? 0) ?? 0)) {
      this.#searchErrno = errno;
    }
  }
}
