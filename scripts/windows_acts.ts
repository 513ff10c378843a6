/**
 * Tells what the programs of a Windows guest do, by their system calls as these return: files, keys of the registry, other processes,
 * drivers, the network. The guest's kernel needs its symbols.
 *
 *   custom windows_acts [process=NAME ...]       prints the acts of all processes, or of those with these names
 *   custom windows_acts_to <file> [process=NAME ...]    writes them into a file, such as results/acts.jsonl, a line of JSON each
 *   custom windows_acts_end                      ends either
 *
 * A line is "PID NAME act key=value ...".
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { CallbackManager, findSystem, type WindowsGuest, type WindowsProcess } from "rebox";
import { readNewFile } from "./_new_file";
import { escape } from "./_system_call_arguments";
import { whenSystemIsKnown } from "./_when_system";
import { type ToldAct, WindowsActWatcher } from "./_windows_act_watcher";

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

let callbacks: CallbackManager;
let print: (text: string) => void;
let watcher: WindowsActWatcher;
let file: string | undefined;
let isOn = false;
/** Names of processes; empty for all. */
let wanted: readonly string[] = [];
let isHooked = false;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
  const isWanted = ({ name }: WindowsProcess): boolean => wanted.length === 0 || wanted.includes(name);
  watcher = new WindowsActWatcher(callbacks, isWanted, tell);
}

export const clean = (): void => callbacks.clean();

function begin(): string {
  isOn = true;
  if (isHooked) return "";
  let note = "";
  whenSystemIsKnown(callbacks, () => {
    const system = findSystem();
    if (system === undefined || system.kind !== "windows" || system.bits !== 64) {
      note = ", but nothing is told: the guest runs no Windows of 64 bits that rebox knows";
      return;
    }
    isHooked = true;
    watcher.hook(system as WindowsGuest);
  });
  return note;
}

function unhook(): void {
  isOn = isHooked = false;
  watcher.unhook();
}

function tell({ pid, name }: WindowsProcess, { act, ...facts }: ToldAct): void {
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ act, pid, process: name, ...facts })}\n`);
  else print(`${pid} ${escape(name)} ${act} ${Object.entries(facts).map(show).join(" ")}`.trimEnd());
}

function show([key, value]: readonly [string, unknown]): string {
  return `${key}=${typeof value === "string" ? `"${escape(value)}"` : JSON.stringify(value)}`;
}

/** Takes the words process=NAME out of a line. */
function takeWanted(line: string): string {
  const words = line.split(/\s+/).filter((word) => word !== "");
  wanted = words.filter((word) => word.startsWith("process=")).map((word) => word.slice("process=".length));
  return words.filter((word) => !word.startsWith("process=")).join(" ");
}

/** Prints acts as they happen. @param line names of processes, as process=NAME; all without one */
export function do_windows_acts(line: string): string {
  const rest = takeWanted(line);
  if (rest !== "") throw new Error(`${rest} is no process=NAME`);
  file = undefined;
  return `telling acts${begin()}`;
}

/** Writes acts into a file from now on. @param line the file, and names of processes; a file that exists is written anew */
export function do_windows_acts_to(line: string): string {
  const path = readNewFile(takeWanted(line));
  writeFileSync(path, "");
  file = path;
  return `telling acts into ${path}${begin()}`;
}

/** Tells no more. */
export function do_windows_acts_end(): string {
  if (isOn) unhook();
  file = undefined;
  return "telling no more";
}
