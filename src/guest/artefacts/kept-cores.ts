import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { readArgument } from "../events/kernel-hooks";
import { type HookCallbacks, ScopeHooks } from "../scope/scope-hooks";
import type { TargetScope } from "../scope/target-scope";
import { type CallFrame, readStackOfTask } from "../unwinding/call-stack";
import { writeProcessCore } from "./process-core";

/** The bounds of cores. */
export interface CoreLimits {
  readonly mostCores: number;
  /** Of memory in one. */
  readonly mostCoreBytes: number;
  /** Of memory in all. */
  readonly mostAllCoreBytes: number;
}

/** The cores that were kept until now, also those of kernels before. */
export interface CoreCount {
  cores: number;
  /** Of memory. */
  bytes: number;
}

/** The memory of a process of the scope at its end. */
export interface KeptCore {
  readonly pid: number;
  readonly process: string;
  /** The name of its file; undefined when it was left out. */
  readonly core?: string;
  readonly threads?: number;
  /** Bytes of memory. */
  readonly size?: number;
  /** The functions that the thread which ends it executes: the innermost first. */
  readonly stack?: readonly CallFrame[];
  /** Why it was left out. */
  readonly left?: string;
}

/** Writes the memory of the processes of a scope as ELF cores when they end: by exit(2), a signal, or their last thread. */
export class KeptCores {
  readonly #hooks: ScopeHooks;
  /** Processes that are written, by the struct signal_struct that all of their threads have. */
  readonly #done = new Set<bigint>();

  /**
   * @param folder of the cores, absolute; it is made when one is written
   * @param callbacks that the hooks go with
   * @param count is kept up to date
   */
  constructor(
    private readonly guest: LinuxGuest,
    callbacks: HookCallbacks,
    private readonly scope: TargetScope,
    private readonly folder: string,
    private readonly limits: CoreLimits,
    private readonly count: CoreCount,
    private readonly listener: (core: KeptCore) => void,
    onProblem: (text: string) => void,
  ) {
    this.#hooks = new ScopeHooks(guest, callbacks, scope.conditions, onProblem);
  }

  /** Hooks the kernel. @returns whether it shows the ends of processes */
  hook(): boolean {
    const { bits } = this.guest.kernel;
    // kernel/exit.c: all threads are still there when the first one asks for the end of all.
    const all = this.#hooks.addFirst(["do_group_exit"], (cpu, current) => {
      const pid = this.scope.findPid(current);
      if (pid !== undefined) this.#onEnd(current, pid, Number(readArgument(cpu, 0, bits)) & 0x7f);
    });
    // The last thread may end without that.
    const { conditions } = this.scope;
    const onLast = (cpu: Cpu, current: bigint): void => {
      const pid = this.scope.findPidToItsEnd(current);
      if (pid === undefined || this.scope.findOrigin(pid) !== undefined) return;
      this.#onEnd(current, pid, Number(readArgument(cpu, 0, bits)) & 0x7f);
      this.#done.delete(this.guest.kernel.at("task_struct", current).value("signal"));
    };
    const last = this.#hooks.addFirst(["do_exit"], onLast, [
      ...conditions.running,
      [conditions.runs(conditions.ending)],
    ]);
    return all && last;
  }

  #onEnd(task: bigint, pid: number, ending: number): void {
    const signal = this.guest.kernel.at("task_struct", task).follow("signal");
    if (signal === undefined || this.#done.has(signal.address)) return;
    this.#done.add(signal.address);
    const { name } = this.guest.tasks.read(task);
    const { mostCores, mostCoreBytes, mostAllCoreBytes } = this.limits;
    const leave = (left: string): void => this.listener({ pid, process: name, left });
    // A chain of many processes costs no more than its first ones.
    if (this.count.cores >= mostCores) return leave(`${mostCores} cores are kept already (most_cores)`);
    const process = this.guest.getProcessList().find((one) => one.pid === pid);
    if (process === undefined) return;
    const mostBytes = Math.min(mostCoreBytes, mostAllCoreBytes - this.count.bytes);
    const core = `${String(this.count.cores + 1).padStart(4, "0")}-${pid}.core`;
    try {
      mkdirSync(this.folder, { recursive: true });
      const written = writeProcessCore(this.guest, process, join(this.folder, core), { mostBytes, first: task, signal: ending }); // prettier-ignore
      this.count.cores++;
      this.count.bytes += written.memory;
      const stack = readStackOfTask(this.guest, process, task);
      this.listener({ pid, process: name, core, threads: written.threads, size: written.memory, stack });
    } catch (error) {
      leave(error instanceof Error ? error.message : String(error));
    }
  }
}
