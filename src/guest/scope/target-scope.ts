import { ReboxError } from "../../config/rebox-error";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { KernelDataError } from "../../systems/errors";
import { readArgument } from "../events/kernel-hooks";
import { type BeginListener, findTargetScope, listBeginListeners, setTargetScope, tellAdoption } from "./current-scope";
import { GuestRest } from "./guest-rest";
import { Injections } from "./injections";
import { Launcher } from "./launcher";
import { ProcessEndReader } from "./process-end";
import type { ScopeEvent, ScopeOrigin } from "./scope-event";
import { ScopeConditions } from "./scope-conditions";
import { type ScopeFollower, ScopeFollowers } from "./scope-followers";
import { type HookCallbacks, ScopeHooks } from "./scope-hooks";
import { ScopeTasks } from "./scope-tasks";
import { type LastingFiles, WrittenFiles } from "./written-files";

/** fs/exec.c: the new program is complete, and has executed no instruction. */
const PROGRAM_ENDS = ["finalize_exec", "proc_exec_connector"];
/** Problems are reported up to this number. */
const MOST_PROBLEMS = 20;
/** Adoptions are reported up to this number; the processes are in the scope all the same. */
const MOST_ADOPTIONS = 10_000;
/**
 * The processes of the target of an analysis: those that it has started, with all their threads, by whatever call and however often
 * they fork. They are followed by the kernel's own functions for tasks that begin and end, so none is missed, and the guest is
 * asked nothing.
 *
 * A launcher, known by a word of its environment, executes the target: it is rebox's own until then.
 */
export class TargetScope {
  /** By which the addon decides whose acts a hook sees. */
  readonly conditions: ScopeConditions;
  readonly #guest: LinuxGuest;
  readonly #hooks: ScopeHooks;
  readonly #callbacks: HookCallbacks;
  readonly #ends: ProcessEndReader;
  readonly #tasks: ScopeTasks;
  readonly #followers: ScopeFollowers;
  #writtenFiles: WrittenFiles | undefined;
  #injections: Injections | undefined;
  /** Of the guest, since the scope has ended. */
  #rest: GuestRest | undefined;
  #begunNs = 0n;
  #launcher: Launcher | undefined;
  #rootPid: number | undefined;
  #problems = 0;
  #adoptions = 0;
  /** It is the scope of what stays when the guest was started again: it has no first process, and no end. */
  #isResumed = false;
  readonly #restarts = new Map<BeginListener, () => void>();
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
    this.conditions = new ScopeConditions(guest);
    this.#tasks = new ScopeTasks(this.conditions);
    this.#followers = new ScopeFollowers(guest);
    this.#hooks = new ScopeHooks(guest, callbacks, this.conditions, (text) => this.#report(text));
  }

  /** Begins to wait for the launcher; it is the engine's scope until end(). @throws KernelDataError when this kernel lacks a function that the scope is followed by */
  begin(): void {
    this.#followTasks();
    const { conditions } = this;
    const isLauncher = [conditions.runs(conditions.launcher)];
    // fs/exec.c: from here on there is no way back to the program of before.
    const onPoint = (_cpu: Cpu, current: bigint): void => this.#launcher?.notePoint(current);
    this.#need(this.#hooks.addFirst(["begin_new_exec", "flush_old_exec"], onPoint, [isLauncher]), "new programs");
    setTargetScope(this);
    const listener = this.#callbacks.addCallback("EXEC_CB", (pid, _pgd, name, path, _argv, envp) => {
      if (this.#launcher === undefined) {
        if (envp.includes(this.mark)) this.#onLauncher(pid);
      } else if (pid === this.#launcher.pid && this.#rootPid === undefined) {
        this.#onTarget(pid, name, path);
        this.#callbacks.rmCallback(listener);
      }
    });
  }

  /**
   * Follows, in a guest that was started again, what the target has left there: processes are adopted as they execute or read
   * what it wrote. It is the engine's scope until end(), and never tells of an end.
   *
   * @throws KernelDataError when this kernel lacks a function that the scope is followed by
   */
  resume(files: LastingFiles): void {
    this.#isResumed = true;
    this.#followTasks();
    setTargetScope(this);
    this.#begunNs = this.#readTimeNs();
    this.#rootPid = 0;
    this.#watchFiles();
    this.#writtenFiles!.restore(files);
    this.#tellListeners();
  }

  #need(isThere: boolean, what: string): void {
    if (!isThere) throw new KernelDataError(what, 0n, "the kernel has no function for them");
  }

  #followTasks(): void {
    const { bits } = this.#guest.kernel;
    // kernel/fork.c: the new task is complete, and nothing can prevent it any more. The second comes later, where processes are
    // reported: those who are told there ask for the scope.
    const begins = ["cgroup_post_fork", "wake_up_new_task"];
    const onBegin = (cpu: Cpu, current: bigint): void => this.#onNewTask(readArgument(cpu, 0, bits), current);
    const { conditions } = this;
    // A task of the system may get the place of one that has ended.
    const isPlaceOfScope = [conditions.argument(0, conditions.ending)];
    this.#need(this.#hooks.addFirst(begins, onBegin, [...conditions.running, isPlaceOfScope]), "new tasks");
    const onExit = (cpu: Cpu, current: bigint): void => this.#onExit(current, readArgument(cpu, 0, bits));
    const isLauncher = [conditions.runs(conditions.launcher)];
    this.#need(this.#hooks.addFirst(["do_exit"], onExit, [...conditions.running, isLauncher]), "ending tasks");
    // kernel/fork.c: a task has ended, and its place is to be another's.
    this.#hooks.removeFirst(["free_task", "__put_task_struct"], conditions.ending);
  }

  /** Tells a listener that the scope has begun, and remembers what it wants to be told when the guest starts again. */
  tellBegin(listener: BeginListener): void {
    const onRestart = listener(this);
    if (onRestart !== undefined) this.#restarts.set(listener, onRestart);
  }

  /** Tells a listener of a restart no more. */
  forgetBegin(listener: BeginListener): void {
    this.#restarts.delete(listener);
  }

  /**
   * The guest has started again: the kernel that was followed is gone, and so is the scope.
   *
   * @returns what the target has left
   */
  endWithKernel(): LastingFiles {
    for (const onRestart of this.#restarts.values()) {
      try {
        onRestart();
      } catch (error) {
        // The others have hooks on the kernel that is gone, too.
        this.#report(error instanceof Error ? error.message : String(error));
      }
    }
    this.#restarts.clear();
    this.end();
    return this.#writtenFiles?.lasting ?? { files: new Map(), units: new Map(), sinceNs: 0n };
  }

  /** Is the engine's scope no longer; its hooks go with the callbacks. */
  end(): void {
    this.#rest?.end();
    this.conditions.dispose();
    if (findTargetScope() === this) setTargetScope(undefined);
  }

  /**
   * Finds whose a living process is; undefined for one of the system, and of rebox's own. In callbacks of processes that begin or
   * execute a program it is known already; where they end no more.
   */
  findOrigin(pid: number): ScopeOrigin | undefined {
    if (this.#rootPid === undefined && this.#launcher?.pid === pid && this.#launcher.isExecuting) return "target";
    return this.#tasks.findOrigin(pid);
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

  /**
   * Tells of the scope's processes from now on.
   *
   * @returns the function that ends it
   */
  follow(follower: ScopeFollower): () => void {
    return this.#followers.add(follower);
  }

  /** Whether the task with this task_struct is in the scope. */
  has(task: bigint): boolean {
    return this.#tasks.find(task) !== undefined;
  }

  /** The process of a task in the scope. */
  findPid(task: bigint): number | undefined {
    return this.#tasks.find(task)?.pid;
  }

  /** The process of a task in the scope, also while the task ends. */
  findPidToItsEnd(task: bigint): number | undefined {
    return this.#tasks.find(task)?.pid ?? this.#tasks.findEnding(task);
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
    if ((isKernelThread && !isFuture) || this.#tasks.findOrigin(tgid) !== undefined) return;
    for (const { kaddr, mm } of this.#guest.tasks.listThreads(task)) {
      // A thread that has given its memory up does not end any more.
      if (mm !== 0n || isFuture) this.#add(kaddr, tgid, "adopted");
    }
    tellAdoption(tgid, pgd, name);
    if (++this.#adoptions <= MOST_ADOPTIONS) this.#listener({ what: "adopted", pid: tgid, name, by, act });
  }

  #onLauncher(pid: number): void {
    const onRefused = (errno: number): void => this.#listener({ what: "refused", errno });
    this.#launcher = Launcher.find(this.#guest, pid, this.#hooks, this.conditions, onRefused);
  }

  #onTarget(pid: number, name: string, path: string): void {
    this.#rootPid = pid;
    this.#begunNs = this.#readTimeNs();
    this.#launcher!.forget();
    this.#add(this.#launcher!.task, pid, "target");
    this.#listener({ what: "began", pid, name, path });
    this.#watchFiles();
    this.#tellListeners();
  }

  #watchFiles(): void {
    this.#injections = new Injections(this.#guest, this.#hooks, this, this.conditions);
    this.#injections.hook();
    this.#writtenFiles = new WrittenFiles(this.#guest, this.#hooks, this, this.conditions, this.#begunNs);
    this.#writtenFiles.hook();
    // Behind the place where a process is adopted for what it executes.
    this.#hooks.addFirst(PROGRAM_ENDS, (_cpu, current) => this.#onProgram(current));
  }

  #tellListeners(): void {
    for (const listener of listBeginListeners()) this.tellBegin(listener);
  }

  #onNewTask(task: bigint, creator: bigint): void {
    // The place of one that has ended.
    this.#tasks.forgetEnding(task);
    const origin = this.#tasks.find(creator)?.origin;
    if (origin === undefined) return;
    const facts = this.#guest.tasks.read(task);
    this.#add(task, facts.tgid, origin);
    this.#followers.tellBegin(facts, origin);
  }

  #onProgram(task: bigint): void {
    const origin = this.#tasks.find(task)?.origin;
    if (origin !== undefined) this.#followers.tellProgram(task, origin);
  }

  #add(task: bigint, pid: number, origin: ScopeOrigin): void {
    if (this.has(task)) return;
    // It ends anew when this one has ended, too.
    this.#rest?.end();
    this.#tasks.add(task, pid, origin);
  }

  #onExit(task: bigint, code: bigint): void {
    if (task === this.#launcher?.task && this.#rootPid === undefined) {
      const errno = this.#launcher.searchErrno;
      this.#launcher.forget();
      this.#launcher = undefined;
      return this.#listener({ what: "refused", ...(errno !== undefined && { errno }) });
    }
    const ended = this.#tasks.end(task);
    if (ended === undefined) return;
    if (ended.isLast) this.#followers.tellEnd(task, ended.pid);
    if (ended.pid === this.#rootPid) this.#ends.note(this.#guest.tasks.read(task), Number(code));
    if (this.#tasks.isEmpty && !this.#isResumed) this.#onEnd();
  }

  #onEnd(): void {
    this.#listener({ what: "ended", processes: this.#tasks.processCount, ...this.#ends.end });
    const isPending = () => this.#injections?.hasHelpers === true;
    this.#rest = new GuestRest(this.#guest, isPending, () => this.#listener({ what: "settled" }));
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
