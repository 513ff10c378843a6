/**
 * Reports processes that change other processes, and keeps what they write there: by ptrace(), process_vm_writev(), /proc/PID/mem and
 * shared memory. Linux.
 *
 *   custom injections [process=PROCESS ...]               prints them
 *   custom injections_to FOLDER [process=PROCESS ...]     also keeps what was written, in files such as results/injections/0001.bin, and a
 *                                                         line of JSON for each in injections.jsonl there
 *   custom injections_end
 *
 * A PROCESS is one that changes others or is changed: a pid in decimal, a pgd such as 0x1f3c000, or a name with * and ?.
 */
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { CallbackManager, findProcess } from "rebox";
import { type Injection, type InjectionProcess, InjectionWatcher } from "./_injection_watcher";
import { readNewFile } from "./_new_file";
import { splitWords } from "./_numbers";
import { escape, hex } from "./_system_call_arguments";
import { isProcessWord, readWantedProcesses } from "./_wanted_processes";
import { whenSystemIsKnown } from "./_when_system";

/** How many bytes are printed. */
const SHOWN = 32;
/** Further files are not written. */
const MOST_FILES = 10_000;

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

let callbacks: CallbackManager;
let print: (text: string) => void;
let watcher: InjectionWatcher | undefined;
let isWanted: ReturnType<typeof readWantedProcesses> = () => true;
let folder: string | undefined;
let count = 0;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
}

export function clean(): void {
  do_injections_end();
  callbacks.clean();
}

/**
 * Prints what processes do to others from now on.
 *
 * @param line process=PROCESS, also several; all without one
 */
export function do_injections(line: string): string {
  return begin(splitWords(line), undefined);
}

/**
 * Prints it, and keeps what is written.
 *
 * @param line the folder, and which processes
 */
export function do_injections_to(line: string): string {
  const [path = "", ...words] = splitWords(line);
  const file = readNewFile(path === "" ? "" : `${path}/injections.jsonl`);
  if (existsSync(file)) throw new Error(`${file} is there already: name another folder`);
  return `${begin(words, path)}; what they write is kept in ${path}`;
}

/** Watches no more. */
export function do_injections_end(): string {
  watcher?.remove();
  watcher = folder = undefined;
  callbacks.clean();
  return `${count} acts of processes on others`;
}

function begin(words: readonly string[], into: string | undefined): string {
  const unknown = words.find((word) => !isProcessWord(word));
  if (unknown !== undefined) throw new Error(`${unknown} is not known: process=PROCESS`);
  const chosen = readWantedProcesses(words);
  do_injections_end();
  isWanted = chosen;
  count = 0;
  if (into !== undefined && !existsSync(into)) mkdirSync(into);
  folder = into;
  whenSystemIsKnown(callbacks, () => void (watcher ??= new InjectionWatcher(note)));
  return `watching what ${words.length === 0 ? "processes do to others" : words.join(" ")}`;
}

function note(injection: Injection): void {
  const { by, target, bytes } = injection;
  if (!isOneWanted(by) && !isOneWanted(target)) return;
  count++;
  const file =
    folder === undefined || bytes.length === 0 || count > MOST_FILES
      ? undefined
      : `${String(count).padStart(4, "0")}.bin`;
  print(`${showInjection(injection)}${file === undefined ? "" : `, ${file}`}`);
  if (folder === undefined) return;
  if (file !== undefined) writeFileSync(`${folder}/${file}`, bytes);
  const { bytes: _, address, stack, ...facts } = injection;
  const places = { address: address && hex(address), stack: stack && hex(stack) };
  appendFileSync(`${folder}/injections.jsonl`, `${JSON.stringify({ number: count, ...facts, ...places, file })}\n`);
}

function isOneWanted({ pid }: InjectionProcess): boolean {
  return isWanted({ pid, pgd: findProcess(pid)?.pgd ?? 0n });
}

/** Shows an act in a line: "91 injector writes 8 bytes into 90 victim at 0x7ffe12345678 by ptrace: ...". */
export function showInjection({ way, kind, by, target, address, bytes, size, stack, path, rights }: Injection): string {
  const [one, other] = [by, target].map(({ pid, name }) => `${pid} ${escape(name)}`) as [string, string];
  const at = address === undefined ? "" : ` at ${hex(address)}`;
  switch (kind) {
    case "attached":
      return `${one} attaches to ${other} by ${way}`;
    case "registers":
      return address === undefined
        ? `${one} sets registers of ${other} by ${way}`
        : `${one} sets registers of ${other} by ${way}: it goes on at ${hex(address)}, its stack at ${hex(stack ?? 0n)}`;
    case "shared":
      return `${other} maps memory that ${one} has, ${rights}${at}: ${escape(path ?? "")}, ${size} bytes`;
    case "written": {
      const shown = escape(String.fromCharCode(...bytes.subarray(0, SHOWN)));
      return `${one} writes ${size} bytes into ${other}${at} by ${way}: "${shown}"${size > SHOWN ? "..." : ""}`;
    }
  }
}
