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
import {
  CallbackManager,
  type Cpu,
  findSystem,
  getRunningProcess,
  type WindowsGuest,
  type WindowsProcess,
} from "rebox";
import { readNewFile } from "./_new_file";
import { escape } from "./_system_call_arguments";
import { whenSystemIsKnown } from "./_when_system";
import { FILE_ACTS } from "./_windows_file_acts";
import { PROCESS_ACTS } from "./_windows_process_acts";
import { REGISTRY_ACTS } from "./_windows_registry_acts";
import { type ActReader, type Caller, readPointers } from "./_windows_call";

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

const READERS: Readonly<Record<string, ActReader>> = { ...FILE_ACTS, ...REGISTRY_ACTS, ...PROCESS_ACTS };
/** Calls that wait for their return at one moment. */
const MOST_WAITING = 1000;
/** Processes whose acts are told once are remembered up to so many acts. */
const MOST_TOLD = 100_000;
const KERNEL_HALF = 1n << 63n;

interface Waiting {
  readonly callback: string;
  readonly stack: bigint;
  readonly finish: (status: bigint) => void;
}

let callbacks: CallbackManager;
let print: (text: string) => void;
let file: string | undefined;
let isOn = false;
/** Names of processes; empty for all. */
let wanted: readonly string[] = [];
let isHooked = false;
const hooks: string[] = [];
/** By what is on the stack behind the return: no two calls have the same place there. */
const waiting = new Map<bigint, Waiting>();
/** The processes that were met, by address space; forgotten when they end. */
const callers = new Map<bigint, WindowsProcess>();
const told = new Set<string>();

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
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
    hook(system as WindowsGuest);
  });
  return note;
}

function hook(guest: WindowsGuest): void {
  isHooked = true;
  for (const [call, reader] of Object.entries(READERS)) {
    // What this kernel does not have, nobody can call.
    const addr = guest.symbols.resolve(0n, "kernel", call);
    if (addr === undefined) continue;
    const onCall = (cpuIndex: number, cpu: Cpu): void => onEntry(guest, reader, cpuIndex, cpu);
    hooks.push(callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, onCall, { addr }));
  }
  hooks.push(callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (_pid, pgd) => void callers.delete(pgd)));
}

function unhook(): void {
  isOn = isHooked = false;
  for (const name of [...hooks.splice(0), ...[...waiting.values()].map(({ callback }) => callback)]) {
    callbacks.rmCallback(name);
  }
  waiting.clear();
  callers.clear();
  told.clear();
}

function onEntry(guest: WindowsGuest, reader: ActReader, cpuIndex: number, cpu: Cpu): void {
  const pgd = getRunningProcess(cpuIndex);
  const process = findCaller(guest, pgd);
  if (process === undefined || waiting.size >= MOST_WAITING) return;
  // The return's address, the room for four arguments, then the fifth (Windows' convention for x64).
  const stack = readPointers(pgd, cpu.RSP, 12);
  const target = stack[0];
  if (target === undefined || target < KERNEL_HALF) return;
  const caller: Caller = { guest, process, pgd };
  const finish = reader([cpu.RCX, cpu.RDX, cpu.R8, cpu.R9, ...stack.slice(5)], caller);
  if (finish === undefined) return;
  const behind = cpu.RSP + 8n;
  const callback = callbacks.addCallback(
    CallbackManager.INSN_BEGIN_CB,
    (_index, now) => {
      const call = now.RSP === behind ? waiting.get(behind) : undefined;
      if (call?.callback !== callback) return;
      forget(call);
      call.finish(now.RAX);
    },
    { addr: target, pgd },
  );
  const before = waiting.get(behind);
  // A thread that ended within a call has left its place.
  if (before) forget(before);
  waiting.set(behind, {
    ...{ callback, stack: behind },
    finish: (status) => {
      if (BigInt.asIntN(32, status) < 0n) return;
      for (const { act, isOnce, ...facts } of finish()) tell(process, act, isOnce === true, facts);
    },
  });
}

function forget({ callback, stack }: Waiting): void {
  waiting.delete(stack);
  callbacks.rmCallback(callback);
}

function findCaller(guest: WindowsGuest, pgd: bigint): WindowsProcess | undefined {
  let process = callers.get(pgd);
  if (process === undefined) {
    process = guest.findProcess(pgd) as WindowsProcess | undefined;
    if (process !== undefined) callers.set(pgd, process);
  }
  return process !== undefined && (wanted.length === 0 || wanted.includes(process.name)) ? process : undefined;
}

function tell({ pid, name }: WindowsProcess, act: string, isOnce: boolean, facts: object): void {
  if (isOnce) {
    const key = JSON.stringify([pid, name, act, facts]);
    if (told.has(key) || told.size >= MOST_TOLD) return;
    told.add(key);
  }
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
  callers.clear();
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
