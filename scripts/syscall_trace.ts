/**
 * Traces system calls of 64-bit processes: number and arguments, when the kernel is entered by SYSCALL.
 *
 *   custom trace_syscalls [number ...]     only these; all by default
 *   custom syscall_counts
 *
 * The arguments are those of the kernel's convention: RDI, RSI, RDX, R10, R8, R9 for Linux.
 */
import { CallbackManager, type Cpu, getRunningProcess, readCpu } from "rebox";

let callbacks: CallbackManager;
let print: (text: string) => void;
let wanted: ReadonlySet<bigint> | undefined = new Set();
const counts = new Map<bigint, number>();
const hooked = new Set<bigint>();

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
  // LSTAR, where SYSCALL goes, is set by the kernel when it starts; with page-table isolation it stays one address.
  const name = callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, (_oldPgd, _newPgd, cpuIndex) => {
    const entry = readCpu(cpuIndex).LSTAR;
    if (entry === 0n || hooked.has(entry)) return;
    hooked.add(entry);
    callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, onEntry, { name: "syscall_entry", addr: entry });
    if (callbacks.callbackExists(name)) callbacks.rmCallback(name);
  });
}

export const clean = (): void => callbacks.clean();

const hex = (value: bigint): string => `0x${value.toString(16)}`;

function onEntry(cpuIndex: number, cpu: Cpu): void {
  const number = cpu.RAX;
  counts.set(number, (counts.get(number) ?? 0) + 1);
  if (wanted !== undefined && !wanted.has(number)) return;
  const args = [cpu.RDI, cpu.RSI, cpu.RDX, cpu.R10, cpu.R8, cpu.R9].map(hex).join(", ");
  print(`${hex(getRunningProcess(cpuIndex))} ${number}(${args})`);
}

/**
 * Prints system calls as they come.
 *
 * @param line numbers with blanks between them; all of them when there is none
 */
export function do_trace_syscalls(line: string): string {
  const numbers = line.split(/\s+/).filter((word) => word !== "");
  wanted = numbers.length === 0 ? undefined : new Set(numbers.map((word) => BigInt(word)));
  return numbers.length === 0 ? "tracing all system calls" : `tracing ${numbers.join(" ")}`;
}

/** Says how often which system call was made, most often first. */
export function do_syscall_counts(): string {
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  return sorted.map(([number, count]) => `${number} ${count}`).join("\n");
}
