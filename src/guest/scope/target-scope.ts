import { ReboxError } from "../../config/rebox-error";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { KernelDataError } from "../../systems/errors";
import { readArgument } from "../events/kernel-hooks";
import { GuestRest } from "./guest-rest";
import { Injections } from "./injections";
import { ProcessEndReader } from "./process-end";
import type { ScopeEvent, ScopeOrigin } from "./scope-event";
import { type HookCallbacks, ScopeHooks } from "./scope-hooks";
import { WrittenFiles } from "./written-files";

/** The system call by which a program is executed, in all its forms (arch/x86/entry/syscalls/). */
const EXECUTIONS = ["execve", "execveat"].flatMap((call) =>
  ["__x64_sys_", "__x64_compat_sys_", "__x32_compat_sys_", "__ia32_sys_", "__ia32_compat_sys_", "sys_"].map(
    (prefix) => prefix + call,
  ),
);
/** Problems are reported up to this number. */
const MOST_PROBLEMS = 20;
/** Adoptions are reported up to this number; the processes are in the scope all the same. */
const MOST_ADOPTIONS = 10_000;
/** Tasks whose end is under way, at one moment. */
const MOST_ENDING = 1000;

let current: TargetScope | undefined;

/** Finds the scope of the analysis that this engine is used for: those who observe the guest ask it whose a process is. */
export function findTargetScope(): TargetScope | undefined {
  return current;
}

type AdoptionListener = (pid: number, pgd: bigint, name: string) => void;
const adoptionListeners = new Set<AdoptionListener>();

/**
 * Calls a function for each process of the system that is taken into the scope of this engine's analysis, at once.
 *
 * @returns the function that ends it
 */
export function onAdoption(listener: AdoptionListener): () => void {
  adoptionListeners.add(listener);
  return () => adoptionListeners.delete(listener);
}

type BeginListener = (scope: TargetScope) => void;
const beginListeners = new Set<BeginListener>();

/**
 * Calls a function when the target of this engine's analysis is about to execute its first instruction; at once when it has begun.
 * Nothing that watches the target alone need cost the guest anything before.
 *
 * @returns the function that ends it
 */
export function onTargetBegin(listener: BeginListener): () => void {
  if (current?.hasBegun === true) listener(current);
  else beginListeners.add(listener);
  return () => beginListeners.delete(listener);
}

/** A task in the scope. */
interface ScopeTask {
  readonly pid: number;
  readonly origin: ScopeOrigin;
}

/**
 * The processes of the target of an analysis: those that it has started, with all their threads, by whatever call and however often
 * they fork. They are followed by the kernel's own functions for tasks that begin and end, so none is missed, and the guest is
 * asked nothing.
 *
 * A launcher, known by a word of its environment, executes the target: it is rebox's own until then.
 */
export class TargetScope {
  readonly #guest: LinuxGuest;
  readonly #hooks: ScopeHooks;
  readonly #callbacks: HookCallbacks;
  readonly #ends: ProcessEndReader;
  /** By the address of the task_struct. */
  readonly #tasks = new Map<bigint, ScopeTask>();
  /** The number of tasks of each process, by pid. */
  readonly #processes = new Map<number, { origin: ScopeOrigin; tasks: number }>();
  /** Tasks of the scope that are within do_exit(): there files are closed that nothing else closes. */
  readonly #ending = new Map<bigint, number>();
  #writtenFiles: WrittenFiles | undefined;
  #injections: Injections | undefined;
  /** Of the guest, since the scope has ended. */
  #rest: GuestRest | undefined;
  #begunNs = 0n;
  #launcher: { readonly task: bigint; readonly pid: number } | undefined;
  #isExecuting = false;
  #rootPid: number | undefined;
  #count = 0;
  #problems = 0;
  #adoptions = 0;
  readonly #listener: (event: ScopeEvent) => void;

  /**
   * @param mark the word of the launcher's environment, which nothing else has: "NAME=VALUE"
   * @param callbacks that the hooks go with
   * @throws KernelDataError when this kernel does not say which task runs
   */
  constructor(
    guest: LinuxGuest,
    private readonly mark: string,
    callbacks: HookCallbacks,
    listener: (event: ScopeEvent) => void,
  ) {
    this.#listener = listener;
    this.#guest = guest;
    this.#callbacks = callbacks;
    this.#ends = new ProcessEndReader(guest.kernel);
    this.#hooks = new ScopeHooks(guest, callbacks, (text) => this.#report(text));
    if (!this.#hooks.knowsCurrent) throw new KernelDataError("the current task", 0n, "the kernel does not say it");
  }

  /** Begins to wait for the launcher; it is the engine's scope until end(). @throws KernelDataError when this kernel lacks a function that the scope is followed by */
  begin(): void {
    const { bits } = this.#guest.kernel;
    const need = (isThere: boolean, what: string): void => {
      if (!isThere) throw new KernelDataError(what, 0n, "the kernel has no function for them");
    };
    // kernel/fork.c: the new task is complete, and nothing can prevent it any more. The second comes later, where processes are
    // reported: those who are told there ask for the scope.
    const begins = ["cgroup_post_fork", "wake_up_new_task"];
    const onBegin = (cpu: Cpu, current: bigint): void => this.#onNewTask(readArgument(cpu, 0, bits), current);
    need(this.#hooks.addFirst(begins, onBegin), "new tasks");
    const onExit = (cpu: Cpu, current: bigint): void => this.#onExit(current, readArgument(cpu, 0, bits));
    need(this.#hooks.addFirst(["do_exit"], onExit), "ending tasks");
    // fs/exec.c: from here on there is no way back to the program of before.
    const onPoint = (_cpu: Cpu, current: bigint): void => {
      if (current === this.#launcher?.task) this.#isExecuting = true;
    };
    need(this.#hooks.addFirst(["begin_new_exec", "flush_old_exec"], onPoint), "new programs");
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- others in this engine ask for it
    current = this;
    const listener = this.#callbacks.addCallback("EXEC_CB", (pid, _pgd, name, path, _argv, envp) => {
      if (this.#launcher === undefined) {
        if (envp.includes(this.mark)) this.#onLauncher(pid);
      } else if (pid === this.#launcher.pid && this.#rootPid === undefined) {
        this.#onTarget(pid, name, path);
        this.#callbacks.rmCallback(listener);
      }
    });
  }

  /** Is the engine's scope no longer; its hooks go with the callbacks. */
  end(): void {
    this.#rest?.end();
    if (current === this) current = undefined;
  }

  /**
   * Finds whose a living process is; undefined for one of the system, and of rebox's own. In callbacks of processes that begin or
   * execute a program it is known already; where they end no more.
   */
  findOrigin(pid: number): ScopeOrigin | undefined {
    if (pid === this.#launcher?.pid && this.#isExecuting && this.#rootPid === undefined) return "target";
    return this.#processes.get(pid)?.origin;
  }

  /** Whether the target has executed its first instruction. */
  get hasBegun(): boolean {
    return this.#rootPid !== undefined;
  }

  /** The guest's time at which the target began, in nanoseconds since 1970; 0 when its clock could not be read. */
  get begunNs(): bigint {
    return this.#begunNs;
  }

  /** The files that the scope has opened for writing; undefined until the target begins. */
  get writtenFiles(): WrittenFiles | undefined {
    return this.#writtenFiles;
  }

  /** Whether the task with this task_struct is in the scope. */
  has(task: bigint): boolean {
    return this.#tasks.has(task);
  }

  /** The process of a task in the scope. */
  findPid(task: bigint): number | undefined {
    return this.#tasks.get(task)?.pid;
  }

  /** The process of a task in the scope, also while the task ends. */
  findPidToItsEnd(task: bigint): number | undefined {
    return this.#tasks.get(task)?.pid ?? this.#ending.get(task);
  }

  /**
   * Takes a process of the system into the scope, with all its threads; one that is there already, and the kernel's own threads, stay
   * what they are.
   *
   * @param task the address of the task_struct of any of its threads
   * @param by the process that caused it
   * @param act how, for people
   * @param isFuture it is a kernel's thread that is about to execute a program
   */
  adopt(task: bigint, by: number, act: string, isFuture = false): void {
    const { tgid, pgd, name, isKernelThread } = this.#guest.tasks.read(task);
    if ((isKernelThread && !isFuture) || this.#processes.has(tgid)) return;
    for (const { kaddr } of this.#guest.tasks.listThreads(task)) this.#add(kaddr, tgid, "adopted");
    for (const listener of adoptionListeners) listener(tgid, pgd, name);
    if (++this.#adoptions <= MOST_ADOPTIONS) this.#listener({ what: "adopted", pid: tgid, name, by, act });
  }

  #onLauncher(pid: number): void {
    // A program is executed by what is its first thread by then.
    for (const { tid, kaddr } of this.#guest.tasks.list()) if (tid === pid) this.#launcher = { task: kaddr, pid };
    const launcher = this.#launcher;
    if (launcher === undefined) return;
    let isFirst = true;
    this.#hooks.addAll(EXECUTIONS, (cpu, current) => {
      if (current !== launcher.task || this.#rootPid !== undefined || !isFirst) return;
      isFirst = false;
      // A shell tries again in ways of its own: what counts is what the kernel says to the target itself.
      this.#hooks.onReturn(cpu, (result) => {
        if (result < 0n) this.#listener({ what: "refused", errno: Number(-result) });
      });
    });
  }

  #onTarget(pid: number, name: string, path: string): void {
    this.#rootPid = pid;
    this.#begunNs = this.#readTimeNs();
    this.#add(this.#launcher!.task, pid, "target");
    this.#listener({ what: "began", pid, name, path });
    this.#injections = new Injections(this.#guest, this.#hooks, this);
    this.#injections.hook();
    this.#writtenFiles = new WrittenFiles(this.#guest, this.#hooks, this);
    this.#writtenFiles.hook();
    for (const listener of beginListeners) listener(this);
    beginListeners.clear();
  }

  #onNewTask(task: bigint, creator: bigint): void {
    // The place of one that has ended.
    this.#ending.delete(task);
    const origin = this.#tasks.get(creator)?.origin;
    if (origin !== undefined) this.#add(task, this.#guest.tasks.read(task).tgid, origin);
  }

  #add(task: bigint, pid: number, origin: ScopeOrigin): void {
    if (this.#tasks.has(task)) return;
    // It ends anew when this one has ended, too.
    this.#rest?.end();
    this.#tasks.set(task, { pid, origin });
    const known = this.#processes.get(pid);
    if (known === undefined) {
      this.#processes.set(pid, { origin, tasks: 1 });
      this.#count++;
    } else {
      known.tasks++;
    }
  }

  #onExit(task: bigint, code: bigint): void {
    if (task === this.#launcher?.task && this.#rootPid === undefined) {
      this.#launcher = undefined;
      return this.#listener({ what: "refused" });
    }
    const known = this.#tasks.get(task);
    if (known === undefined) return;
    this.#tasks.delete(task);
    this.#noteEnding(task, known.pid);
    const process = this.#processes.get(known.pid);
    if (process !== undefined && --process.tasks === 0) this.#processes.delete(known.pid);
    if (known.pid === this.#rootPid) this.#ends.note(this.#guest.tasks.read(task), Number(code));
    if (this.#tasks.size === 0) this.#onEnd();
  }

  #onEnd(): void {
    this.#listener({ what: "ended", processes: this.#count, ...this.#ends.end });
    const isPending = () => this.#injections?.hasHelpers === true;
    this.#rest = new GuestRest(this.#guest, isPending, () => this.#listener({ what: "settled" }));
  }

  #noteEnding(task: bigint, pid: number): void {
    this.#ending.set(task, pid);
    if (this.#ending.size > MOST_ENDING) this.#ending.delete(this.#ending.keys().next().value as bigint);
  }

  #readTimeNs(): bigint {
    try {
      return this.#guest.clock.realTimeNs;
    } catch (error) {
      if (error instanceof ReboxError) return 0n;
      throw error;
    }
  }

  #report(text: string): void {
    if (++this.#problems <= MOST_PROBLEMS) this.#listener({ what: "problem", text });
  }
}
