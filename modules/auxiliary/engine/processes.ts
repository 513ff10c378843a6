/** Tells of the processes that begin and end in the guest; for the module of the same name. */
import { CallbackManager, findGuest, getProcessList, KernelDataError, type LinuxProcess } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { findTargetScope, type ScopeOrigin } from "rebox/trusted";

/** Begins the variable that the target of an analysis has in its environment where it cannot be followed otherwise. */
const TARGET_MARK = "REBOX_RUN=";

/** A task on its way out (PF_EXITING of include/linux/sched.h). */
const EXITING = 4;

/** What is told of a process. */
export interface ProcessEvent {
  readonly what: "begins" | "runs" | "ends";
  readonly pid: number;
  readonly name: string;
  readonly ppid?: number | undefined;
  readonly commandLine?: string;
  readonly executable?: string;
  /** Whose it is, when it is the target's, or acts for it. */
  readonly origin?: ScopeOrigin;
}

export function observe({ callbacks, tell }: GuestObserver): () => object {
  const before = findGuest() === undefined ? [] : getProcessList().map(describe);

  callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
    const ppid = findProcess(pgd, pid)?.ppid;
    tell({ what: "begins", pid, name, ppid, ...mark(findTargetScope()?.findOrigin(pid)) } satisfies ProcessEvent);
  });
  // Its words are those of the start: later the process may have changed them.
  callbacks.addCallback(CallbackManager.EXEC_CB, (pid, _pgd, name, path, argv, envp) => {
    const program = { commandLine: argv.join(" "), executable: path };
    tell({ what: "runs", pid, name, ...program, ...mark(findOrigin(pid, envp)) } satisfies ProcessEvent);
  });
  callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (pid, pgd, name) => {
    // One that starts another program gives up its memory too.
    if (!isExiting(pgd, pid)) return;
    tell({ what: "ends", pid, name } satisfies ProcessEvent);
  });
  return () => ({ before });
}

/** A value that is undefined arrives as null. */
function mark(origin: ScopeOrigin | undefined): { origin?: ScopeOrigin } {
  return origin === undefined ? {} : { origin };
}

function findOrigin(pid: number, environment: readonly string[]): ScopeOrigin | undefined {
  const scope = findTargetScope();
  if (scope !== undefined) return scope.findOrigin(pid);
  return environment.some((word) => word.startsWith(TARGET_MARK)) ? "target" : undefined;
}

function findProcess(pgd: bigint, pid: number): LinuxProcess | undefined {
  try {
    const guest = findGuest();
    return guest?.findProcess(pgd) ?? guest?.getProcessList().find((process) => process.pid === pid);
  } catch (error) {
    if (error instanceof KernelDataError) return undefined;
    throw error;
  }
}

/** Whether a process that gives up its memory ends; when that cannot be told, it does. */
function isExiting(pgd: bigint, pid: number): boolean {
  const task = findProcess(pgd, pid)?.kaddr;
  try {
    return task === undefined || (Number(findGuest()?.struct("task_struct", task).flags) & EXITING) !== 0;
  } catch {
    return true;
  }
}

function describe({ pid, ppid, name, isKernelThread }: LinuxProcess): object {
  return { pid, ppid, name, isKernelThread };
}
