/**
 * Traces the system calls of all processes, by the names that the guest's own kernel has for them, with their arguments:
 *
 *   custom trace_syscalls [name or number ...]     prints these as they are made; all when none is named
 *   custom trace_syscalls_to <file>                writes all of them into a file, such as results/calls.log
 *   custom trace_syscalls_end                      ends both
 *   custom syscall_counts
 *
 * A line is "PID NAME call(parameter=value, ...)". A process that vfork() has made has its maker's memory, and is shown as
 * that one until it starts its program.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { CallbackManager, findGuestRefusal, listSystemCallEntries, listSystemCalls, type SystemCall } from "rebox";
import { readNewFile } from "./_new_file";
import type { ArgumentKind } from "./_system_call_arguments";
import { chooseKind, createShow, hex, type Show } from "./_system_call_arguments";
import { ProcessLabels } from "./_process_labels";
import { type CallRecord, SystemCallRecorder, Wish } from "./_system_call_recorder";

/** How long calls may lie with the recorders. */
const FLUSH_MS = 200;
const MOST_ARGUMENTS = 6;
/** No kernel has more. */
const MOST_NUMBERS = 4096;

/** A system call, ready to be shown. */
interface Tracer {
  readonly name: string;
  readonly bits: 32 | 64;
  readonly number: number;
  readonly shows: readonly Show[];
  /** Whether the kernel says how many arguments there are. */
  readonly isDescribed: boolean;
  /** Of each argument, ArgumentKind in 2 bits. */
  readonly kinds: number;
  isPrinted: boolean;
}

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

let callbacks: CallbackManager;
let print: (text: string) => void;
let file: string | undefined;
let timer: NodeJS.Timeout | undefined;
/** What is printed: names and numbers; undefined for nothing, empty for all. */
let wanted: readonly string[] | undefined;
const tracers: Record<32 | 64, Map<number, Tracer>> = { 32: new Map(), 64: new Map() };
/** How many arguments are in registers: in Windows those of 64-bit programs beyond four are on the stack, and not shown. */
const argumentCounts: Record<32 | 64, number> = { 32: MOST_ARGUMENTS, 64: MOST_ARGUMENTS };
const recorders: { readonly bits: 32 | 64; readonly recorder: SystemCallRecorder }[] = [];
let labels: ProcessLabels;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
  // No process makes a call before the first one has begun: the guest is held there until the hooks are set.
  labels = new ProcessLabels(callbacks, () => new Promise((resolve) => setTimeout(resolve, 0)).then(hook), take);
}

export function clean(): void {
  take();
  clearInterval(timer);
  callbacks.clean();
}

function hook(): void {
  for (const call of listSystemCalls()) tracers[call.bits].set(call.number, createTracer(call));
  for (const entry of listSystemCallEntries()) {
    const kinds = new Map([...tracers[entry.bits]].map(([number, { kinds }]) => [number, kinds]));
    argumentCounts[entry.bits] = entry.arguments.length + (entry.sixthAt === undefined ? 0 : 1);
    recorders.push({ bits: entry.bits, recorder: new SystemCallRecorder(callbacks, entry, kinds, take) });
  }
  labels.record();
  tellRecorders();
}

/** Has the calls written down that are printed or go into the file. */
function tellRecorders(): void {
  const others = file === undefined ? Wish.Count : Wish.Record;
  const unnamed = wanted?.length === 0 ? Wish.Pass : others;
  for (const { bits, recorder } of recorders) {
    const table = new Map(
      [...tracers[bits]].map(([number, { isPrinted }]) => [number, isPrinted ? Wish.Pass : others]),
    );
    for (const number of namedNumbers()) table.set(number, Wish.Pass);
    recorder.choose(table, unnamed);
  }
  if (file === undefined) {
    clearInterval(timer);
    timer = undefined;
  } else {
    timer ??= setInterval(take, FLUSH_MS);
  }
}

/** Takes what the recorders have, and prints and writes it. */
function take(): void {
  const used = recorders.filter(({ recorder }) => recorder.isUsed);
  const records = used.flatMap(({ recorder }) => recorder.take());
  labels.take();
  // Programs of 32 and of 64 bits come by different ways.
  if (used.length > 1) records.sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0));
  let lines = "";
  for (const record of records) {
    const tracer = findTracer(record.bits, record.number);
    const line = `${labels.get(record.pgd, record.time)} ${show(tracer, record)}`;
    if (tracer.isPrinted) print(line);
    if (file !== undefined) lines += `${line}\n`;
  }
  if (file !== undefined && lines !== "") appendFileSync(file, lines);
}

function show({ name, bits, shows, isDescribed }: Tracer, { values, pieces }: CallRecord): string {
  const known = Math.min(shows.length, argumentCounts[bits]);
  let text = "";
  for (let index = 0; index < known; index++) {
    text += (index === 0 ? "" : ", ") + (shows[index] as Show)(values[index] as bigint, pieces[index]);
  }
  return `${name}(${text}${isDescribed && known < shows.length ? ", ..." : ""})`;
}

function findTracer(bits: 32 | 64, number: number): Tracer {
  let tracer = tracers[bits].get(number);
  if (tracer === undefined) {
    tracer = createTracer({ name: `syscall_${number}`, bits, number, parameters: undefined });
    tracers[bits].set(number, tracer);
  }
  return tracer;
}

function createTracer({ name, bits, number, parameters }: SystemCall): Tracer {
  const chosen = (parameters ?? []).map((parameter, index, all) => chooseKind(parameter, all[index + 1]));
  const shows = parameters
    ? parameters.map((parameter, index) => createShow(parameter, chosen[index] as ArgumentKind, bits))
    : Array.from({ length: MOST_ARGUMENTS }, () => hex);
  const kinds = chosen.reduce((all, kind, index) => all | (kind << (2 * index)), 0);
  return { name, bits, number, shows, isDescribed: parameters !== undefined, kinds, isPrinted: isWanted(name, number) };
}

function isWanted(name: string, number: number): boolean {
  return wanted !== undefined && (wanted.length === 0 || wanted.includes(name) || wanted.includes(String(number)));
}

/** Numbers that are asked for may be of calls that the kernel does not have. */
function namedNumbers(): number[] {
  return (wanted ?? [])
    .map(Number)
    .filter((number) => Number.isInteger(number) && number >= 0 && number < MOST_NUMBERS);
}

function choose(names: readonly string[] | undefined): void {
  take();
  wanted = names;
  for (const known of Object.values(tracers)) {
    for (const tracer of known.values()) tracer.isPrinted = isWanted(tracer.name, tracer.number);
  }
  tellRecorders();
}

/**
 * Prints system calls as they come.
 *
 * @param line names or decimal numbers with blanks between them; all of them when there is none
 */
export function do_trace_syscalls(line: string): string {
  choose(line.split(/\s+/).filter((word) => word !== ""));
  return `${wanted?.length === 0 ? "tracing all system calls" : `tracing ${wanted?.join(" ")}`}${noteMissing()}`;
}

/**
 * Writes all system calls into a file, from now on.
 *
 * @param line the file; one that exists is written anew
 */
export function do_trace_syscalls_to(line: string): string {
  take();
  const path = readNewFile(line);
  writeFileSync(path, "");
  file = path;
  tellRecorders();
  return `tracing into ${path}${noteMissing()}`;
}

/** Says what keeps calls from being traced, if anything does: the system is not known, or has no call of a name. */
function noteMissing(): string {
  if (recorders.length === 0) {
    const refusal = findGuestRefusal();
    // A kernel that has not started yet is traced from its first process on.
    if (refusal === undefined || refusal.isEarly) return "";
    return `, but nothing is traced now: no Linux kernel is found (${refusal.step}); ${refusal.advice}`;
  }
  const known = new Set([32, 64].flatMap((bits) => [...tracers[bits as 32 | 64].values()].map(({ name }) => name)));
  const missing = (wanted ?? []).filter((name) => !/^(0x)?\d/.test(name) && !known.has(name));
  return missing.length === 0 ? "" : `, but this kernel has no system call ${missing.join(" ")}`;
}

/** Prints and writes no more. */
export function do_trace_syscalls_end(): string {
  take();
  file = undefined;
  choose(undefined);
  return "tracing no more";
}

/** Says how often which system call was made, most often first. */
export function do_syscall_counts(): string {
  const made = recorders.flatMap(({ bits, recorder }) =>
    [...recorder.count()].map(([number, count]) => ({ ...findTracer(bits, number), count })),
  );
  return made
    .sort((a, b) => b.count - a.count)
    .map(({ name, bits, count }) => `${name}${bits === 32 ? " (32 bits)" : ""} ${count}`)
    .join("\n");
}
