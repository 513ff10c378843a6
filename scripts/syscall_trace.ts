/**
 * Traces the system calls of all processes, by the names that the guest's own kernel has for them, with their arguments:
 *
 *   custom trace_syscalls [name or number ...]     prints these as they are made; all when none is named
 *   custom trace_syscalls_to <file>                writes all of them into a file; its folder has to be permitted (fs:)
 *   custom trace_syscalls_end                      ends both
 *   custom syscall_counts
 *
 * A line is "PID NAME call(parameter=value, ...)". A process that vfork() has made has its maker's memory, and is shown as
 * that one until it starts its program.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import {
  CallbackManager,
  type Cpu,
  getRunningProcess,
  getSystemCallEntries,
  getSystemCalls,
  type RegisterName,
  type SystemCall,
  type SystemCallEntry,
} from "rebox";
import { createShow, escape, hex, readSixth, type Show } from "./parts/system_call_arguments";

/** In characters; what is written at once. */
const CHUNK = 1 << 16;
const FLUSH_MS = 200;
/** Marks a call of the x32 ABI, whose numbers are among those of 64 bits (arch/x86/include/uapi/asm/unistd.h). */
const X32 = 0x40000000;
const UNKNOWN_REGISTERS = 6;

/** A system call, ready to be shown. */
interface Tracer {
  readonly name: string;
  readonly bits: 32 | 64;
  readonly number: number;
  readonly shows: readonly Show[];
  count: number;
  isPrinted: boolean;
}

let callbacks: CallbackManager;
let print: (text: string) => void;
let isHooked = false;
let file: string | undefined;
let lines = "";
let timer: NodeJS.Timeout | undefined;
/** What is printed: names and numbers; undefined for nothing, empty for all. */
let wanted: readonly string[] | undefined;
const tracers: Record<32 | 64, Map<number, Tracer>> = { 32: new Map(), 64: new Map() };
/** "PID NAME" by address space. */
const processes = new Map<bigint, string>();

/** Whose calls are traced. */
interface Caller {
  readonly pgd: bigint;
  readonly label: string;
}

/** By the value of CR3: to ask for the address space of a vCPU takes longer than all else. */
const callers = new Map<bigint, Caller>();

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, onBegin, { name: "traced_begins", replay: true });
  callbacks.addCallback(CallbackManager.REMOVEPROC_CB, onEnd, { name: "traced_ends" });
}

export function clean(): void {
  callbacks.clean();
  flush();
}

/** No process makes a call before the first one has begun: the guest is held there until the hooks are set. */
function onBegin(pid: number, pgd: bigint, name: string): Promise<void> | undefined {
  processes.set(pgd, `${pid} ${escape(name)}`);
  callers.clear();
  if (isHooked) return undefined;
  isHooked = true;
  return new Promise((resolve) => setTimeout(resolve, 0)).then(hook);
}

function hook(): void {
  for (const call of getSystemCalls()) tracers[call.bits].set(call.number, createTracer(call));
  for (const entry of getSystemCallEntries()) {
    const name = `enter_${entry.instruction.replace(" ", "_")}_${entry.bits}`;
    callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, createListener(entry), { name, addr: entry.address });
  }
}

function onEnd(_pid: number, pgd: bigint): void {
  processes.delete(pgd);
  callers.clear();
}

function findCaller(cpuIndex: number, cpu: Cpu): Caller {
  const root = cpu.CR3;
  let caller = callers.get(root);
  if (caller === undefined) {
    const pgd = getRunningProcess(cpuIndex);
    callers.set(root, (caller = { pgd, label: processes.get(pgd) ?? hex(pgd) }));
  }
  return caller;
}

function createListener({ bits, number, arguments: registers, sixthAt }: SystemCallEntry) {
  const known = tracers[bits];
  return (cpuIndex: number, cpu: Cpu): void => {
    const index = Number(cpu[number]) & ~X32;
    let tracer = known.get(index);
    if (tracer === undefined) known.set(index, (tracer = createUnknown(bits, index)));
    tracer.count++;
    if (file !== undefined || tracer.isPrinted) trace(tracer, findCaller(cpuIndex, cpu), cpu, registers, sixthAt);
  };
}

function trace(
  { name, shows, isPrinted }: Tracer,
  { pgd, label }: Caller,
  cpu: Cpu,
  registers: readonly RegisterName[],
  sixthAt: RegisterName | undefined,
): void {
  const values: bigint[] = [];
  for (let index = 0; index < shows.length; index++) {
    const register = registers[index];
    values.push(register === undefined ? readSixth(pgd, sixthAt === undefined ? 0n : cpu[sixthAt]) : cpu[register]);
  }
  let text = "";
  for (let index = 0; index < shows.length; index++) {
    text += (index === 0 ? "" : ", ") + (shows[index] as Show)(values[index] as bigint, values, pgd);
  }
  const line = `${label} ${name}(${text})`;
  if (isPrinted) print(line);
  if (file === undefined) return;
  lines += `${line}\n`;
  if (lines.length >= CHUNK) flush();
  else timer ??= setTimeout(flush, FLUSH_MS);
}

function flush(): void {
  clearTimeout(timer);
  timer = undefined;
  if (file !== undefined && lines !== "") appendFileSync(file, lines);
  lines = "";
}

function createTracer({ name, bits, number, parameters }: SystemCall): Tracer {
  const shows = parameters
    ? parameters.map((parameter, index) => createShow(parameter, index, parameters, bits))
    : Array.from({ length: UNKNOWN_REGISTERS }, () => hex);
  return { name, bits, number, shows, count: 0, isPrinted: isWanted(name, number) };
}

function createUnknown(bits: 32 | 64, number: number): Tracer {
  return createTracer({ name: `syscall_${number}`, bits, number, parameters: undefined });
}

function isWanted(name: string, number: number): boolean {
  return wanted !== undefined && (wanted.length === 0 || wanted.includes(name) || wanted.includes(String(number)));
}

function choose(names: readonly string[] | undefined): void {
  wanted = names;
  for (const known of Object.values(tracers)) {
    for (const tracer of known.values()) tracer.isPrinted = isWanted(tracer.name, tracer.number);
  }
}

/**
 * Prints system calls as they come.
 *
 * @param line names or numbers with blanks between them; all of them when there is none
 */
export function do_trace_syscalls(line: string): string {
  choose(line.split(/\s+/).filter((word) => word !== ""));
  return wanted?.length === 0 ? "tracing all system calls" : `tracing ${wanted?.join(" ")}`;
}

/**
 * Writes all system calls into a file, from now on.
 *
 * @param line the file; one that exists is written anew
 */
export function do_trace_syscalls_to(line: string): string {
  flush();
  writeFileSync(line, "");
  file = line;
  return `tracing into ${line}`;
}

/** Prints and writes no more. */
export function do_trace_syscalls_end(): string {
  flush();
  file = undefined;
  choose(undefined);
  return "tracing no more";
}

/** Says how often which system call was made, most often first. */
export function do_syscall_counts(): string {
  const made = [...tracers[64].values(), ...tracers[32].values()].filter(({ count }) => count > 0);
  return made
    .sort((a, b) => b.count - a.count)
    .map(({ name, bits, count }) => `${name}${bits === 32 ? " (32 bits)" : ""} ${count}`)
    .join("\n");
}
