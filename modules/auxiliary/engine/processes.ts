/** Tells of the processes that begin and end in the guest; for the module of the same name. */
import {
  CallbackManager,
  findGuest,
  getGuest,
  getProcessList,
  KernelDataError,
  type LinuxProcess,
  MissingTypeError,
} from "rebox";
import { type GuestObserver } from "rebox/lab";
import {
  ChangedPrograms,
  type ExecutedProgram,
  ExecutedPrograms,
  type Execution,
  findTargetScope,
  onTargetBegin,
  ProcessJournal,
  readExecution,
  type ScopeOrigin,
  type TargetScope,
} from "rebox/trusted";

/** Begins the variable that the target of an analysis has in its environment where it cannot be followed otherwise. */
const TARGET_MARK = "REBOX_RUN=";

/** A task on its way out (PF_EXITING of include/linux/sched.h). */
const EXITING = 4;

/** What the module gives. */
export interface ProcessOptions {
  /** Of a program that is hashed. */
  readonly mostProgramBytes: number;
}

/** A program that a process of the target executes; told again when its hash is known. */
export interface ProgramEvent extends ExecutedProgram {
  readonly what: "program";
}

/** What is told of a process. */
export interface ProcessEvent {
  readonly what: "begins" | "runs" | "ends" | "restarted";
  readonly pid: number;
  readonly name: string;
  readonly ppid?: number | undefined;
  readonly commandLine?: string;
  readonly executable?: string;
  /** The number of what it executes. */
  readonly program?: number;
  /** The file that it executes was written, renamed, linked or mounted since the target began. */
  readonly isChanged?: true;
  /** Whose it is, when it is the target's, or acts for it. */
  readonly origin?: ScopeOrigin;
}

/** Of the system's processes: they are noted by the addon, and taken so often. */
const TAKE_MS = 100;
/** Programs that were not in memory as a whole are read from disks so often. */
const READ_MS = 1000;

export function observe({ callbacks, options, tell }: GuestObserver): () => Promise<object> {
  const before = findGuest() === undefined ? [] : getProcessList().map(describe);
  const programs = new TargetPrograms((options as unknown as ProcessOptions).mostProgramBytes, tell);
  const say = (event: ProcessEvent, happenedMs?: number): void => tell(event, happenedMs);
  let hasTargetRun = false;
  const names = [
    callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
      const ppid = findProcess(pgd, pid)?.ppid;
      say({ what: "begins", pid, name, ppid, ...mark(findTargetScope()?.findOrigin(pid)) });
    }),
    // Its words are those of the start: later the process may have changed them.
    callbacks.addCallback(CallbackManager.EXEC_CB, (pid, pgd, name, path, argv, envp) => {
      const origin = findOrigin(pid, envp);
      if (origin === "target") hasTargetRun = true;
      const program = origin === undefined ? {} : programs.note(findProcess(pgd, pid)?.livingThread.mm);
      say({ what: "runs", pid, name, commandLine: argv.join(" "), executable: path, ...program, ...mark(origin) });
    }),
    callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (pid, pgd, name) => {
      // One that starts another program gives up its memory too.
      if (isExiting(pgd, pid)) say({ what: "ends", pid, name });
    }),
  ];
  let end: () => void = () => undefined;
  // From here on the target is followed by its scope, and the rest of the system costs no call.
  const forget = onTargetBegin((scope) => {
    for (const name of names.splice(0)) callbacks.rmCallback(name);
    end = followScope(scope, callbacks, say, programs, hasTargetRun);
    return () => {
      end();
      programs.forget();
      callbacks.clean();
      hasTargetRun = false;
      // All of them are gone with the kernel.
      say({ what: "restarted", pid: 0, name: "" });
    };
  });
  return async () => {
    forget();
    end();
    await programs.end();
    return { before };
  };
}

/** The files that the target's processes execute, over restarts of the guest. */
class TargetPrograms {
  private readonly count = { programs: 0 };
  private programs: ExecutedPrograms | undefined;
  private readonly timer = setInterval(() => void this.programs?.read(), READ_MS);

  constructor(
    private readonly mostBytes: number,
    private readonly tell: (event: ProgramEvent) => void,
  ) {}

  /** Notes what a process executes, by its mm_struct. */
  note(mm: bigint | undefined): { readonly program?: number } {
    const program = mm === undefined ? undefined : this.find()?.note(mm);
    return program === undefined ? {} : { program };
  }

  /** The guest has started again: what was not read is out of reach. */
  forget(): void {
    this.programs?.giveUp("the guest was started again before it was read");
    this.programs = undefined;
  }

  async end(): Promise<void> {
    clearInterval(this.timer);
    await this.programs?.read();
  }

  private find(): ExecutedPrograms | undefined {
    const tell = (program: ExecutedProgram): void => this.tell({ what: "program", ...program });
    try {
      return (this.programs ??= new ExecutedPrograms(getGuest(), this.mostBytes, this.count, tell));
    } catch (error) {
      // A kernel that does not describe its pages.
      if (error instanceof MissingTypeError) return undefined;
      throw error;
    }
  }
}

/** Tells the processes of a scope as they begin and end, and from time to time those of the system. */
function followScope(
  scope: TargetScope,
  callbacks: CallbackManager,
  say: (event: ProcessEvent, happenedMs?: number) => void,
  programs: TargetPrograms,
  hasTargetRun: boolean,
): () => void {
  const guest = getGuest();
  const changes = new ChangedPrograms(guest, scope);
  const journal = new ProcessJournal(guest, scope.conditions);
  journal.hook(callbacks);
  const takeNotes = (): void => {
    for (const { what, pid, ppid, name, path, words, timeMs } of journal.take()) {
      const program = { commandLine: words.join(" "), ...(path.startsWith("/") ? { executable: path } : {}) };
      if (what === "begins") say({ what, pid, name, ppid }, timeMs);
      else say({ what, pid, name, ...(what === "runs" ? { ppid, ...program } : {}) }, timeMs);
    }
  };
  // What was noted before happened before.
  const tell = (event: ProcessEvent): void => {
    takeNotes();
    say(event);
  };
  const executes = ({ pid, name, path, argv }: Execution, ppid: number, origin: ScopeOrigin, mm: bigint): void => {
    const program = { ...programs.note(mm), ...(changes.isChanged(mm) ? { isChanged: true as const } : {}) };
    tell({ what: "runs", pid, name, ppid, commandLine: argv.join(" "), executable: path, ...program, origin });
  };
  if (!hasTargetRun) {
    for (const { pid, ppid, livingThread } of getProcessList()) {
      const origin = scope.findOrigin(pid);
      if (origin !== undefined) executes(readExecution(guest, livingThread), ppid, origin, livingThread.mm);
    }
  }
  const end = scope.follow({
    begins: ({ pid, ppid, name, origin }) => tell({ what: "begins", pid, ppid, name, origin }),
    executes: (execution, ppid, origin, { mm }) => executes(execution, ppid, origin, mm),
    ends: ({ pid, name }) => tell({ what: "ends", pid, name }),
  });
  const timer = setInterval(takeNotes, TAKE_MS);
  return () => {
    end();
    clearInterval(timer);
    takeNotes();
  };
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
