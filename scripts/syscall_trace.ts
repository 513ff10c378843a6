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
  readVa,
  type RegisterName,
  type SystemCall,
  type SystemCallEntry,
  type SystemCallParameter,
} from "rebox";

const LONGEST_TEXT = 200;
const MOST_BYTES = 32;
const MOST_TEXTS = 16;
const PAGE = 4096;
/** In characters; what is written at once. */
const CHUNK = 1 << 16;
const FLUSH_MS = 200;
/** Marks a call of the x32 ABI, whose numbers are among those of 64 bits (arch/x86/include/uapi/asm/unistd.h). */
const X32 = 0x40000000;
const UNKNOWN_REGISTERS = 6;

/** Shows one argument. */
type Show = (value: bigint, values: readonly bigint[], pgd: bigint) => string;

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

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
  callbacks.addCallback(CallbackManager.CREATEPROC_CB, onBegin, { name: "traced_begins", replay: true });
  callbacks.addCallback(CallbackManager.REMOVEPROC_CB, (_pid, pgd) => void processes.delete(pgd), {
    name: "traced_ends",
  });
}

export function clean(): void {
  callbacks.clean();
  flush();
}

/** No process makes a call before the first one has begun. */
function onBegin(pid: number, pgd: bigint, name: string): void {
  processes.set(pgd, `${pid} ${escape(name)}`);
  if (isHooked) return;
  isHooked = true;
  for (const call of getSystemCalls()) tracers[call.bits].set(call.number, createTracer(call));
  for (const entry of getSystemCallEntries()) {
    const name = `enter_${entry.instruction.replace(" ", "_")}_${entry.bits}`;
    callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, createListener(entry), { name, addr: entry.address });
  }
}

function createListener({ bits, number, arguments: registers, sixthAt }: SystemCallEntry) {
  const known = tracers[bits];
  return (cpuIndex: number, cpu: Cpu): void => {
    const index = Number(cpu[number]) & ~X32;
    let tracer = known.get(index);
    if (tracer === undefined) known.set(index, (tracer = createUnknown(bits, index)));
    tracer.count++;
    if (file !== undefined || tracer.isPrinted) trace(tracer, getRunningProcess(cpuIndex), cpu, registers, sixthAt);
  };
}

function trace(
  { name, shows, isPrinted }: Tracer,
  pgd: bigint,
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
  const line = `${processes.get(pgd) ?? hex(pgd)} ${name}(${text})`;
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

const SIGNED_32 = new Set([
  "int",
  "pid_t",
  "key_t",
  "timer_t",
  "mqd_t",
  "clockid_t",
  "const clockid_t",
  "__s32",
  "s32",
]);
const UNSIGNED_32 = new Set([
  "unsigned int",
  "unsigned",
  "u32",
  "__u32",
  "uid_t",
  "gid_t",
  "qid_t",
  "old_uid_t",
  "old_gid_t",
]);
const SIGNED = new Set(["long", "loff_t", "off_t", "long int"]);
/** What is made of single bits, or of numbers that headers give in hexadecimal. */
const OF_BITS = /flag|mask|prot|cmd|option|how/;

/** Decides by type and name, in the words of the kernel's source, how a parameter is shown. */
function createShow(
  { type, name }: SystemCallParameter,
  index: number,
  all: readonly SystemCallParameter[],
  bits: 32 | 64,
): Show {
  const showValue = ((): Show => {
    if (type === "const char *") return all[index + 1]?.type === "size_t" ? showBytes(index + 1) : showText;
    if (type === "const char *const *") return showTexts(bits);
    if (type.endsWith("*")) return (value) => (value === 0n ? "NULL" : hex(value));
    if (type === "umode_t") return (value) => `0${BigInt.asUintN(16, value).toString(8)}`;
    const is32 = SIGNED_32.has(type) || UNSIGNED_32.has(type);
    if (OF_BITS.test(name)) return is32 ? (value) => hex(BigInt.asUintN(32, value)) : hex;
    if (SIGNED_32.has(type)) return (value) => String(Number(BigInt.asIntN(32, value)));
    if (UNSIGNED_32.has(type)) return (value) => String(Number(BigInt.asUintN(32, value)));
    if (SIGNED.has(type)) return (value) => String(BigInt.asIntN(bits, value));
    return type === "size_t" ? String : hex;
  })();
  return (value, values, pgd) => `${name}=${showValue(value, values, pgd)}`;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** What a program gives may hold anything, also codes that a terminal would obey. */
function escape(text: string): string {
  return text.replace(/[^\x20-\x7e]|["\\]/g, (character) => {
    if (character === "\n") return "\\n";
    const code = character.charCodeAt(0);
    return code === 0x22 || code === 0x5c ? `\\${character}` : `\\x${code.toString(16).padStart(2, "0")}`;
  });
}

/** Reads what is mapped, at most size bytes, a page at a time; undefined when there is nothing. */
function read(pgd: bigint, address: bigint, size: number): Buffer | undefined {
  try {
    const first = Math.min(size, PAGE - Number(address & 0xfffn));
    const bytes = readVa(pgd, address, first);
    if (first === size || bytes.includes(0)) return bytes;
    return Buffer.concat([bytes, read(pgd, address + BigInt(first), size - first) ?? Buffer.alloc(0)]);
  } catch {
    // Not mapped, or not in memory at the moment: the kernel will see to it.
    return undefined;
  }
}

const showText: Show = (value, _values, pgd) => {
  if (value === 0n) return "NULL";
  const bytes = read(pgd, value, LONGEST_TEXT);
  if (bytes === undefined) return hex(value);
  const end = bytes.indexOf(0);
  return `"${escape(bytes.toString("latin1", 0, end < 0 ? bytes.length : end))}"${end < 0 ? "..." : ""}`;
};

/** Bytes that the parameter of this index counts. */
function showBytes(sizeIndex: number): Show {
  return (value, values, pgd) => {
    const size = values[sizeIndex] ?? 0n;
    const bytes = value === 0n ? undefined : readBytes(pgd, value, Number(size < MOST_BYTES ? size : MOST_BYTES));
    if (bytes === undefined) return value === 0n ? "NULL" : hex(value);
    return `"${escape(bytes.toString("latin1"))}"${size > MOST_BYTES ? "..." : ""}`;
  };
}

function readBytes(pgd: bigint, address: bigint, size: number): Buffer | undefined {
  try {
    return readVa(pgd, address, size);
  } catch {
    return undefined;
  }
}

/** A list of addresses of text that ends with NULL, such as argv. */
function showTexts(bits: 32 | 64): Show {
  return (value, values, pgd) => {
    if (value === 0n) return "NULL";
    const texts: string[] = [];
    for (let index = 0; index < MOST_TEXTS; index++) {
      const bytes = readBytes(pgd, value + BigInt((index * bits) / 8), bits / 8);
      if (bytes === undefined) return index === 0 ? hex(value) : `[${texts.join(", ")}, ...]`;
      const address = bits === 64 ? bytes.readBigUInt64LE() : BigInt(bytes.readUInt32LE());
      if (address === 0n) return `[${texts.join(", ")}]`;
      texts.push(showText(address, values, pgd));
    }
    return `[${texts.join(", ")}, ...]`;
  };
}

/** The sixth argument of a program of 32 bits lies on its stack. */
function readSixth(pgd: bigint, address: bigint): bigint {
  return BigInt(readBytes(pgd, address, 4)?.readUInt32LE() ?? 0);
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
