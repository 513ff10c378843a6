/** Tells of the processes that begin and end in a Windows guest; for the module `processes`. */
import { CallbackManager, Engine, findSystem, KernelDataError, type WindowsGuest, type WindowsProcess } from "rebox";
import { type GuestObserver } from "rebox/lab";
import { findWindowsScope } from "rebox/trusted";
import type { ProcessEvent } from "./processes";

/** A process gets its command line after its beginning: it is looked for so often. */
const LOOK_MS = 50;

export function observe({ callbacks, tell }: GuestObserver): () => object {
  const say = (event: ProcessEvent): void => tell(event);
  const before = listProcesses().map(({ pid, ppid, name, isKernelThread }) => ({ pid, ppid, name, isKernelThread }));
  /** Those whose program was not told yet, by number. */
  const waiting = new Map<number, WindowsProcess>();

  const tellProgram = (process: WindowsProcess): boolean => {
    const { pid, name, ppid } = process;
    const commandLine = readOr(() => process.commandLineText, "");
    if (commandLine === "") return false;
    const origin = findWindowsScope()?.findOrigin(pid);
    const executable = readOr(() => findExecutable(process), undefined);
    const program = { commandLine, ...(executable === undefined ? {} : { executable }) };
    say({ what: "runs", pid, name, ppid, ...program, ...(origin === undefined ? {} : { origin }) });
    waiting.delete(pid);
    return true;
  };

  callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
    const process = readOr(() => (findSystem() as WindowsGuest | undefined)?.findProcess(pgd), undefined);
    const origin = process && readOr(() => findWindowsScope()?.take(process), undefined);
    say({ what: "begins", pid, name, ppid: process?.ppid, ...(origin === undefined ? {} : { origin }) });
    if (process !== undefined && !process.isKernelThread && !tellProgram(process)) waiting.set(pid, process);
  });
  callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (pid, _pgd, name) => {
    const process = waiting.get(pid);
    if (process !== undefined) tellProgram(process);
    waiting.delete(pid);
    say({ what: "ends", pid, name });
  });
  const timer = setInterval(() => {
    for (const process of waiting.values()) tellProgram(process);
  }, LOOK_MS);
  const onReset = Engine.get().on("reset", () => {
    waiting.clear();
    say({ what: "restarted", pid: 0, name: "" });
  });
  return () => {
    onReset.dispose();
    clearInterval(timer);
    return { before };
  };
}

function listProcesses(): WindowsProcess[] {
  const system = findSystem();
  return system?.kind === "windows" ? (system as WindowsGuest).getProcessList() : [];
}

/**
 * Finds the path of a program. The process can change its own words, and the kernel's record has no drive: the words are taken where they
 * agree with the record.
 */
function findExecutable({ executable, imageFile }: WindowsProcess): string | undefined {
  const path = imageFile.replace(/^\\Device\\[^\\]+/i, "");
  const isSame = path !== "" && executable.replace(/^[A-Za-z]:/, "").toLowerCase() === path.toLowerCase();
  return isSame ? executable : imageFile || executable || undefined;
}

/** Reads something that may be paged out, or gone. */
function readOr<Value, Other>(read: () => Value, other: Other): Value | Other {
  try {
    return read();
  } catch (error) {
    if (error instanceof KernelDataError) return other;
    throw error;
  }
}
