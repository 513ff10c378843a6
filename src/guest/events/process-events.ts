import { guestEvents } from "../../machine/callbacks/guest-event-source";
import { type NativeTaskLayout, ProcessPlace } from "../../machine/engine/native";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { TaskFacts } from "../../systems/linux/processes/task-reader";
import { getRunningProcess } from "../../machine/state/processes";
import { readExecution, readExecutionEnvironment } from "../../systems/linux/processes/execution";
import type { AddressSpace, AddressSpaceTable } from "./address-spaces";
import { type KernelHooks, type NativeDecision, readArgument } from "./kernel-hooks";
import { CurrentTask } from "./current-task";
import { SharedMemory } from "./shared-memory";
import type { UserModuleEvents } from "./user-module-events";

/** More address spaces than a kernel can have processes (PID_MAX_LIMIT) are none. */
const MOST_SPACES = 4 * 1024 * 1024;

/** The functions where a task leaves its address space, each with the one where it is about to. */
const LEAVES = [
  ["exit_mm_release", "do_exit"],
  ["exec_mm_release", "begin_new_exec"],
] as const;

/** The events that somebody listens to, beside those of processes. */
export interface WantedEvents {
  readonly withModules: boolean;
  readonly withPrograms: boolean;
}

/** Raises the events of processes: one for each address space that begins, and one when its last task leaves it. */
export class ProcessEvents {
  readonly #guest: LinuxGuest;
  readonly #modules: UserModuleEvents;
  readonly #current: CurrentTask;
  readonly #shared: SharedMemory;
  readonly #spaces: AddressSpaceTable;

  /**
   * @param spaces those that exist, by the address of their mm_struct; kept up to date
   * @throws MissingTypeError
   */
  constructor(guest: LinuxGuest, spaces: AddressSpaceTable, modules: UserModuleEvents) {
    this.#guest = guest;
    this.#spaces = spaces;
    this.#modules = modules;
    this.#current = new CurrentTask(guest);
    this.#shared = new SharedMemory(guest);
  }

  /**
   * Hooks the functions of the kernel where processes begin and end.
   *
   * @param wanted.withModules somebody wants to know of modules too, of which the addon knows nothing
   * @param wanted.withPrograms somebody wants to know of programs that begin
   */
  hook(hooks: KernelHooks, { withModules, withPrograms }: WantedEvents): void {
    const { bits } = this.#guest.kernel;
    const missing = (what: string, names: readonly string[]): void =>
      hooks.fail(what, new Error(`the guest's kernel has none of the functions ${names.join(", ")}`));

    const layout = this.#layout();
    const decide = (place: ProcessPlace): NativeDecision | undefined => (withModules ? undefined : { place, layout });

    // kernel/fork.c: kernel_clone(), _do_fork() before 5.10: the new task is complete, and has not run yet.
    const begins = ["wake_up_new_task"];
    const onNewTask = (cpu: Cpu): void => this.#onNewTask(cpu, readArgument(cpu, 0, bits));
    if (!hooks.addFirst(begins, onNewTask, decide(ProcessPlace.NewTask))) missing("new tasks", begins);

    // kernel/fork.c, (task, mm), from exit_mm() and exec_mmap(). Before 5.5 it is one function for both.
    const onLeave = (cpu: Cpu): void => this.#onLeave(readArgument(cpu, 0, bits), readArgument(cpu, 1, bits));
    const onCurrentLeaves = (cpu: Cpu): void => {
      const task = this.#current.find(cpu);
      if (task) this.#leave(task);
    };
    const isOne = !hooks.has("exit_mm_release") && hooks.addFirst(["mm_release"], onLeave, decide(ProcessPlace.Leave));
    for (const [first, instead] of isOne ? [] : LEAVES) {
      if (hooks.addFirst([first], onLeave, decide(ProcessPlace.Leave))) continue;
      if (!hooks.addFirst([instead], onCurrentLeaves)) missing("ending tasks", [first, instead]);
    }

    // fs/exec.c, from a format's load_binary(): the address space is the new one. Since 5.8 the name is, too.
    const loads = hooks.has("begin_new_exec") ? ["setup_new_exec"] : [];
    const ends = ["finalize_exec", "proc_exec_connector"];
    const isTwofold = hooks.addFirst(loads, (cpu) => this.#onExec(cpu, true), decide(ProcessPlace.NewProgram));
    // Modules and command lines need the moment at which all of a program is mapped.
    const isEndWanted = withModules || withPrograms || !isTwofold;
    const isEndKnown = isEndWanted && hooks.addFirst(ends, (cpu) => this.#onExecEnd(cpu));
    if (!isEndKnown && (withPrograms || !isTwofold)) missing("new programs", [...(isTwofold ? [] : loads), ...ends]);
    this.#modules.tellsAtOnce = !isEndKnown;
  }

  #layout(): NativeTaskLayout {
    const { kernel, tasks } = this.#guest;
    const { pointerSize } = kernel.memory;
    const current = this.#current.place ?? 0n;
    return { ...tasks.offsets, users: kernel.offset("mm_struct", "mm_users"), pointerSize, current };
  }

  #onNewTask(cpu: Cpu, address: bigint): void {
    this.#shared.forget(address);
    const task = this.#guest.tasks.read(address);
    if (task.mm === 0n || task.isKernelThread || task.tid !== task.tgid) return;
    // clone(CLONE_VM), vfork(): its memory is that of the task that made it, which runs.
    if (this.#shared.mayBeShared(task.mm) && task.pgd === getRunningProcess(cpu.index)) return;
    this.#begin(task, false);
  }

  #onExec(cpu: Cpu, isLoading: boolean): void {
    const task = this.#current.getUser(cpu);
    if (task.mm === 0n || task.isKernelThread) return;
    this.#shared.forget(task.kaddr);
    this.#begin(task, isLoading);
  }

  #onExecEnd(cpu: Cpu): void {
    const task = this.#current.getUser(cpu);
    const space = this.#spaces.get(task.mm);
    if (space?.isLoading) {
      space.isLoading = false;
      this.#modules.refresh(space);
    } else if (!space) {
      // Not reported before: a kernel in which the name comes late.
      this.#onExec(cpu, false);
    }
    if (!guestEvents.isWatched("EXEC_CB")) return;
    const envp = readExecutionEnvironment(this.#guest, task);
    guestEvents.raiseExecution({ ...readExecution(this.#guest, task), envp });
  }

  #begin({ mm, tgid, pgd, name }: TaskFacts, isLoading: boolean): void {
    if (this.#spaces.size >= MOST_SPACES) this.#spaces.clear();
    const space: AddressSpace = { mm, pid: tgid, pgd, name, isLoading, code: [] };
    this.#modules.prepare(space);
    this.#spaces.set(mm, space);
    if (guestEvents.isWatched("CREATEPROC_CB")) guestEvents.raiseProcess("CREATEPROC_CB", space);
    if (!isLoading) this.#modules.refresh(space);
  }

  #onLeave(address: bigint, mm: bigint): void {
    if (mm === 0n) return;
    const task = this.#guest.tasks.read(address);
    if (task.mm === mm) this.#leave(task);
  }

  #leave(task: TaskFacts): void {
    const { mm, tgid, pgd } = task;
    if (mm === 0n || task.isKernelThread || !this.#shared.leave(task)) return;
    const space = this.#spaces.get(mm);
    // A process that has not begun does not end: its program could not be loaded.
    if (!space || !this.#spaces.delete(mm)) return;
    this.#modules.removeAll(space);
    if (!guestEvents.isWatched("REMOVEPROC_CB")) return;
    // If the process that it was made for has ended before, its last name is lost.
    const name = space.pid === tgid ? this.#readName(task) : space.name;
    guestEvents.raiseProcess("REMOVEPROC_CB", { pid: space.pid, pgd, name });
  }

  /** A process is called what its first thread is called. */
  #readName(task: TaskFacts): string {
    if (task.tid === task.tgid) return task.name;
    const leader = this.#guest.kernel.at("task_struct", task.kaddr).value("group_leader");
    return this.#guest.tasks.read(leader).name;
  }
}
