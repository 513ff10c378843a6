/**
 * Writes programs and libraries of processes into files that tools open, as they are in memory: decrypted, unpacked, patched. Linux, 64 bits.
 *
 *   custom dump_modules FOLDER process=PROCESS ... [module=NAME ...]
 *                              now; FOLDER is such as results/dumps: pyrebox.conf permits it
 *   custom dump_when FOLDER process=PROCESS ... WHEN ... [module=NAME ...]
 *                              WHEN is exit; written, when code is executed that was written; call=MODULE!FUNCTION; after=SECONDS
 *   custom dump_end
 *
 * A PROCESS is a pid in decimal, a pgd such as 0x1f3c000, or a name with * and ?; those that begin later are among them. Without a module it
 * is the program itself; module=* is all of them.
 */
import { existsSync, mkdirSync } from "node:fs";
import { CallbackManager, findSystem, type FunctionHook, getProcessList, hookFunction } from "rebox";
import { type ExploitSign, ExploitWatcher } from "./_exploit_watcher";
import { isLastThread, ModuleDumper, readModuleNames } from "./_module_dumper";
import { splitWords } from "./_numbers";
import { isProcessWord, readWantedProcesses } from "./_wanted_processes";

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

interface Choice {
  readonly dumper: ModuleDumper;
  readonly isWanted: (process: { readonly pid: number; readonly pgd: bigint }) => boolean;
  /** Undefined is the program alone. */
  readonly isModule: ((name: string) => boolean) | undefined;
}

let callbacks: CallbackManager;
let print: (text: string) => void;
let hooks: FunctionHook[] = [];
let timers: NodeJS.Timeout[] = [];
let dumper: ModuleDumper | undefined;
let watcher: ExploitWatcher | undefined;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
}

export function clean(): void {
  do_dump_end();
}

/**
 * Dumps processes as they are now.
 *
 * @param line a folder, processes and modules
 */
export function do_dump_modules(line: string): string {
  const { dumper: own, isWanted, isModule } = readChoice(line, []);
  for (const { pid, pgd } of getProcessList()) {
    if (pgd !== 0n && isWanted({ pid, pgd })) own.dumpModules({ pid, pgd, occasion: "asked" }, isModule);
  }
  return own.count === 0 ? "no process of these has such a module of 64 bits" : `${own.count} files`;
}

/**
 * Dumps processes when something happens, in place of what was waited for before.
 *
 * @param line a folder, processes, occasions and modules
 */
export function do_dump_when(line: string): string {
  const occasions = splitWords(line).slice(1).filter((word) => !isProcessWord(word) && !word.startsWith("module=")); // prettier-ignore
  const unknown = occasions.find((word) => !/^(exit|written|after=\d+(\.\d+)?|call=[^!]+![^!]+)$/.test(word));
  if (unknown !== undefined)
    throw new Error(`${unknown} is not known: exit, written, after=SECONDS, call=MODULE!FUNCTION`);
  if (occasions.length === 0)
    throw new Error("the occasion is missing: exit, written, after=SECONDS, call=MODULE!FUNCTION");
  const choice = readChoice(line, occasions);
  do_dump_end();
  ({ dumper } = choice);
  for (const word of occasions) begin(word, choice);
  return `waiting for ${occasions.join(", ")}`;
}

/** Waits no more. */
export function do_dump_end(): string {
  for (const hook of hooks) hook.remove();
  for (const timer of timers) clearTimeout(timer);
  watcher?.end();
  watcher = undefined;
  [hooks, timers] = [[], []];
  callbacks.clean();
  const count = dumper?.count ?? 0;
  dumper = undefined;
  return `${count} files`;
}

function begin(word: string, { dumper: own, isWanted, isModule }: Choice): void {
  const [, functionModule, functionName] = /^call=([^!]+)!(.+)$/.exec(word) ?? [];
  const isExit = word === "exit";
  const [module, name] = isExit ? ["kernel", "do_exit"] : [functionModule, functionName];
  const occasion = word.replace("=", " ");
  if (module !== undefined && name !== undefined) {
    const onEnter = ({ pid, pgd }: { readonly pid: number; readonly pgd: bigint }): void => {
      if (isWanted({ pid, pgd }) && (!isExit || isLastThread(pgd))) own.dumpModules({ pid, pgd, occasion }, isModule);
    };
    hooks.push(hookFunction(module, name, { onEnter }, { process: isWanted }));
    return;
  }
  const seconds = /^after=(.*)$/.exec(word)?.[1];
  follow(isWanted, (pid, pgd, processName) => {
    if (seconds !== undefined) {
      const onTime = (): void => void own.dumpModules({ pid, pgd, occasion }, isModule);
      timers.push(setTimeout(onTime, Number(seconds) * 1000));
      return;
    }
    watcher ??= new ExploitWatcher(callbacks, ["wx"], ({ pid: of, at, toPlace }: ExploitSign, space) =>
      own.dumpCode({ pid: of, pgd: space, occasion }, at, toPlace),
    );
    watcher.add({ pid, pgd, name: processName });
  });
}

/** Calls a function for each process that is wanted: those that are there, and those that begin. */
function follow(isWanted: Choice["isWanted"], onProcess: (pid: number, pgd: bigint, name: string) => void): void {
  const take = (pid: number, pgd: bigint, name: string): void => {
    if (pgd !== 0n && isWanted({ pid, pgd })) onProcess(pid, pgd, name);
  };
  if (findSystem() !== undefined) for (const { pid, pgd, name } of getProcessList()) take(pid, pgd, name);
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, take);
  callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (_pid, pgd) => watcher?.remove(pgd));
  callbacks.addCallback(CallbackManager.LOADMODULE_CB, (_pid, pgd, base, size) => watcher?.forget(pgd, base, size));
}

/** @throws Error when there is no folder, or no process is named */
function readChoice(line: string, occasions: readonly string[]): Choice {
  const [folder, ...words] = splitWords(line);
  if (folder === undefined || isProcessWord(folder)) throw new Error("the folder is missing, such as results/dumps");
  if (!words.some(isProcessWord)) throw new Error("no process is named: process=92 or process=nginx*");
  const names = words.flatMap((word) => /^module=(.+)$/s.exec(word)?.[1] ?? []);
  const known = (word: string): boolean => isProcessWord(word) || /^module=./.test(word) || occasions.includes(word);
  const unknown = words.find((word) => !known(word));
  if (unknown !== undefined) throw new Error(`${unknown} is not known: process=PROCESS, module=NAME`);
  const isWanted = readWantedProcesses(words);
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  return {
    ...{ dumper: new ModuleDumper(folder, print), isWanted },
    isModule: readModuleNames(names),
  };
}
