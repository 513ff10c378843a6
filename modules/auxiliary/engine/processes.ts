/** Tells of the processes that begin and end in the guest; for the module of the same name. */
import { CallbackManager, findGuest, getProcessList, KernelDataError, type LinuxProcess } from "rebox";
import { type GuestObserver } from "rebox/lab";

/** After which a program has its command line: the kernel writes it while it starts the program. */
const STARTED_MS = 50;

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
}

export function observe({ callbacks, tell }: GuestObserver): () => object {
  /** Those of which it is not told yet what they run, by address space. */
  const fresh = new Map<bigint, { readonly pid: number; readonly name: string }>();
  const before = findGuest() === undefined ? [] : getProcessList().map(describe);

  const tellProgram = (pgd: bigint): void => {
    const known = fresh.get(pgd);
    if (known === undefined) return;
    const found = findProcess(pgd, known.pid);
    const program = found && readProgram(found);
    if (program === undefined) return;
    fresh.delete(pgd);
    // Its name may have become another meanwhile.
    tell({ what: "runs", pid: known.pid, name: found?.name ?? known.name, ...program } satisfies ProcessEvent);
  };

  callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
    fresh.set(pgd, { pid, name });
    const ppid = findProcess(pgd, pid)?.ppid;
    tell({ what: "begins", pid, name, ppid } satisfies ProcessEvent);
    setTimeout(() => tellProgram(pgd), STARTED_MS);
  });
  callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (pid, pgd, name) => {
    tellProgram(pgd);
    fresh.delete(pgd);
    // One that starts another program gives up its memory too.
    if (!isExiting(pgd, pid)) return;
    tell({ what: "ends", pid, name } satisfies ProcessEvent);
  });
  return () => ({ before });
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

/** Reads what a process executes; undefined when it cannot be told. */
function readProgram(process: LinuxProcess): { commandLine: string; executable: string } | undefined {
  try {
    const { commandLine, executable } = process;
    return commandLine.length === 0 ? undefined : { commandLine: commandLine.join(" "), executable };
  } catch {
    // It has ended, or its memory is not there.
    return undefined;
  }
}

function describe({ pid, ppid, name, isKernelThread }: LinuxProcess): object {
  return { pid, ppid, name, isKernelThread };
}
