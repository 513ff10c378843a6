/**
 * Traces calls of functions of libraries, with their arguments, results, callers and times:
 *
 *   custom api_trace [what ...]              prints the calls as they end
 *   custom api_trace_to <file> [what ...]    writes them into a file, such as results/api.log
 *   custom api_trace_end                     ends either
 *   custom api_counts                        the functions by how often they were called
 *
 * Each word of what is
 *
 *   module!function    in which * and ? stand for others: "libssl.so*!SSL_*"
 *   function           of the C library and its like, as above: "str*"
 *   process=PROCESS    only these, as in the shell: a pid in decimal, a pgd such as 0x1f3c000, or a name with * and ?
 *   inside             calls from inside the module too
 *   stack              with the functions that have led to each call, a line each: slow, so name the functions that matter
 *
 * Without a function, it is all of the C library that it knows the parameters of (_prototypes.ts). A line is "PID NAME/TID
 * function(parameter, ...) = result, MILLISECONDS ms, CALLER". Of functions that are not known it shows six words, which need not all be
 * parameters. The time is that of a clock which stands still while the machine is paused; the trace's own is in it. Calls are written down
 * natively, and shown some hundred at a time.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { type BacktraceFrame, CallbackManager, type FunctionHook, type HookedProcess, type RecordedCall } from "rebox";
import { showCall, showCaller, type ShownCall, showPlace } from "./_api_calls";
import { readNewFile } from "./_new_file";
import { splitWords } from "./_numbers";
import { escape } from "./_system_call_arguments";
import { isProcessWord, readWantedProcesses } from "./_wanted_processes";
import { readFunctions, type TracedCall, type TracedFunctions, traceFunctions, traceStacks } from "./_traced_functions";

/** How long lines may wait for being written, and how many. */
const FLUSH_MS = 200;
const MOST_LINES = 256;

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

interface Wanted {
  readonly functions: readonly TracedFunctions[];
  readonly isProcess: (process: HookedProcess) => boolean;
  readonly isInside: boolean;
  readonly hasStacks: boolean;
}

let callbacks: CallbackManager;
let print: (text: string) => void;
const hooks: FunctionHook[] = [];
let file: string | undefined;
let timer: NodeJS.Timeout | undefined;
let lines: string[] = [];
/** By pid, and by address space for a process that vfork() has made: it has its maker's. */
const labels = new Map<number | bigint, string>();
const counts = new Map<string, number>();

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
}

export function clean(): void {
  do_api_trace_end();
  callbacks.clean();
}

/**
 * Prints calls of functions.
 *
 * @param line which functions, and of which processes
 */
export function do_api_trace(line: string): string {
  return begin(readWanted(splitWords(line)));
}

/**
 * Writes calls of functions into a file.
 *
 * @param line the file; one that exists is written anew; and which functions
 */
export function do_api_trace_to(line: string): string {
  const [path, ...words] = splitWords(line);
  const wanted = readWanted(words);
  const to = readNewFile(path ?? "");
  writeFileSync(to, "");
  const answer = begin(wanted);
  file = to;
  timer = setInterval(flush, FLUSH_MS);
  return `${answer} into ${to}`;
}

/** Ends the trace. Calls that have not ended are left out. */
export function do_api_trace_end(): string {
  const calls = hooks.reduce((sum, hook) => sum + hook.calls, 0);
  for (const hook of hooks.splice(0)) hook.remove();
  flush();
  clearInterval(timer);
  file = undefined;
  callbacks.clean();
  labels.clear();
  return `${calls} calls`;
}

/** Lists the functions that were called, the most frequent first. */
export function do_api_counts(): string {
  const sorted = [...counts].sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1));
  return sorted.map(([name, count]) => `${String(count).padStart(10)} ${name}`).join("\n") || "nothing was called";
}

function begin(wanted: Wanted): string {
  do_api_trace_end();
  counts.clear();
  const options = { process: wanted.isProcess, fromOutside: !wanted.isInside };
  const set = wanted.hasStacks ? traceStacks(wanted.functions, noteCall, options) : traceFunctions(wanted.functions, noteCalls, options); // prettier-ignore
  hooks.push(...set);
  // Behind the hooks: calls that were made before are shown before.
  const onBegin = (pid: number, pgd: bigint, name: string): void => {
    const label = `${pid} ${escape(name)}`;
    labels.set(pgd, label);
    labels.set(pid, label);
  };
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, onBegin, { replay: true });
  const what = wanted.functions.map(({ module, name }) => `${module}!${name}`);
  return `tracing ${what.join(" ")}`;
}

function readWanted(words: readonly string[]): Wanted {
  const isFlag = (word: string): boolean => word === "inside" || word === "stack";
  const functions = readFunctions(words.filter((word) => !isFlag(word) && !isProcessWord(word)));
  const isProcess = readWantedProcesses(words);
  return { functions, isProcess, isInside: words.includes("inside"), hasStacks: words.includes("stack") };
}

function noteCalls(calls: readonly RecordedCall[]): void {
  for (const call of calls) noteCall(call);
  // What is kept for long costs the collector of garbage more than writing it does.
  if (lines.length >= MOST_LINES) flush();
}

function noteCall(call: ShownCall & TracedCall, stack: readonly BacktraceFrame[] = []): void {
  const { name, module, pid, tid, durationMs } = call;
  const full = `${module}!${name}`;
  counts.set(full, (counts.get(full) ?? 0) + 1);
  const label = labels.get(pid) ?? labels.get(call.pgd) ?? String(pid);
  const line = `${label}/${tid} ${showCall(call)}, ${durationMs.toFixed(3)} ms, ${showCaller(call)}`;
  const shown = [line, ...stack.map(({ name: place, address }) => `    ${showPlace(place, address)}`)];
  if (file === undefined) for (const one of shown) print(one);
  else lines.push(...shown);
}

function flush(): void {
  if (file !== undefined && lines.length > 0) appendFileSync(file, `${lines.join("\n")}\n`);
  lines = [];
}
