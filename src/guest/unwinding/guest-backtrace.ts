import { type Cpu, getCpus, readCpu } from "../../machine/state/cpu";
import { getRunningProcess } from "../../machine/state/processes";
import { KernelDataError } from "../../systems/errors";
import type { AddressName } from "../../systems/guest-system";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { TaskFacts } from "../../systems/linux/processes/task-reader";
import { WindowsGuest } from "../../systems/windows/windows-guest";
import { USER_REGISTERS, UserRegisters } from "../artefacts/user-registers";
import { CurrentTask } from "../events/current-task";
import { findGuest, findSystem, getGuest } from "../guest";
import { vaToSym } from "../operating-system";
import { Backtrace } from "./backtrace";
import type { FrameRegisters, StackFrame } from "./stack-frame";
import type { UserRegisterValues } from "./user-backtrace";
import { DWARF_REGISTERS } from "./user-unwinder";
import { unwindWindows } from "./windows-backtrace";

const USER = 3n;

/** A function that is being executed, with its name. */
export interface BacktraceFrame extends StackFrame {
  /** Undefined outside of all modules. */
  readonly name: AddressName | undefined;
}

/** A thread of a process: its first one that has not ended, without a tid. */
export interface BacktraceThread {
  readonly pid: number;
  readonly tid?: number;
}

/**
 * Lists the functions that are being executed: the innermost first, each caller behind the one that it has called.
 *
 * @param of the number of a vCPU, for what it executes now; or a thread, that waits or runs
 * @throws RangeError when there is no such vCPU, process or thread; AttachError when the guest's system is not known, and for a thread when
 *   it is not Linux
 */
export function backtrace(of: number | BacktraceThread = 0): BacktraceFrame[] {
  if (typeof of === "number") {
    const cpu = readCpu(of);
    const pgd = getRunningProcess(cpu.index);
    return nameFrames(findFramesOfCpu(cpu) ?? listFramesOfCpu(getGuest(), cpu), pgd);
  }
  const guest = getGuest();
  const process = guest.getProcessList().find(({ pid }) => pid === of.pid);
  if (process === undefined) throw new RangeError(`there is no process ${of.pid}`);
  const thread = of.tid === undefined ? process.livingThread : process.threads.find(({ tid }) => tid === of.tid);
  if (thread === undefined) throw new RangeError(`process ${of.pid} has no thread ${of.tid}`);
  const cpu = findCpu(guest, thread.kaddr);
  return nameFrames(cpu ? listFramesOfCpu(guest, cpu) : listFramesOfThread(guest, thread), process.pgd);
}

/** Lists the frames of what a vCPU executes; undefined in a guest whose system is not known, or is a Windows of 32 bits. */
export function findFramesOfCpu(cpu: Cpu): readonly StackFrame[] | undefined {
  const system = findSystem();
  if (system instanceof WindowsGuest && system.bits === 64) {
    const running = system.findProcess(getRunningProcess(cpu.index))?.pgd ?? 0n;
    return unwindWindows(system, running, readContext(cpu));
  }
  const guest = findGuest();
  return guest && listFramesOfCpu(guest, cpu);
}

/** Lists the frames of a thread that no vCPU executes. */
export function listFramesOfThread(guest: LinuxGuest, { kaddr, pgd }: TaskFacts): readonly StackFrame[] {
  return new Backtrace(guest, pgd, () => readUser(guest, kaddr)).unwind(readSaved(guest, kaddr), "saved");
}

function listFramesOfCpu(guest: LinuxGuest, cpu: Cpu): readonly StackFrame[] {
  const pgd = guest.findProcess(getRunningProcess(cpu.index))?.pgd ?? 0n;
  const start = { ip: cpu.RIP, sp: cpu.RSP, bp: cpu.RBP, isExact: true };
  const read = (): UserRegisterValues | undefined => {
    if (cpu.CPL === USER) return Object.fromEntries(DWARF_REGISTERS[64].map((name) => [name, cpu[name]]));
    const task = new CurrentTask(guest).findAddress(cpu);
    return task === undefined ? undefined : readUser(guest, task);
  };
  return new Backtrace(guest, pgd, read).unwind(start, "registers");
}

/** Reads what a thread has in its program, as the kernel has saved it; of a kernel of 32 bits it is not known. */
function readUser(guest: LinuxGuest, task: bigint): UserRegisterValues | undefined {
  if (guest.bits !== 64) return undefined;
  const values = new UserRegisters(guest).read({ kaddr: task });
  return values && Object.fromEntries(USER_REGISTERS.map((name, index) => [name, values[index]]));
}

/** Finds the vCPU that executes a task: task_struct.on_cpu, which only kernels for several vCPUs have, says whether one does. */
function findCpu(guest: LinuxGuest, task: bigint): Cpu | undefined {
  const place = guest.kernel.findMember("task_struct", "on_cpu");
  if (place !== undefined && guest.kernel.readValue(task, place) === 0n) return undefined;
  const current = new CurrentTask(guest);
  return getCpus().find((cpu) => {
    if (cpu.CPL !== USER) return current.findAddress(cpu) === task;
    return guest.tasks.read(task).pgd === getRunningProcess(cpu.index);
  });
}

/** Reads all general registers, as the processor numbers them. */
function readContext(cpu: Cpu) {
  const { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, RIP } = cpu;
  const registers = [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15];
  return { ip: RIP, registers, isExact: true };
}

/** Reads the registers that the scheduler has pushed onto the stack of a task that does not run (struct inactive_task_frame). */
function readSaved(guest: LinuxGuest, task: bigint): FrameRegisters {
  const { kernel } = guest;
  const { memory } = kernel;
  const sp = memory.pointer(task + BigInt(kernel.offset("task_struct", "thread.sp")));
  const member = (name: string) => sp + BigInt(kernel.offset("inactive_task_frame", name));
  const end = sp + BigInt(kernel.sizeOf("inactive_task_frame"));
  return { ip: memory.pointer(member("ret_addr")), sp: end, bp: memory.pointer(member("bp")), isExact: false };
}

function nameFrames(frames: readonly StackFrame[], pgd: bigint): BacktraceFrame[] {
  return frames.map((frame, index) => ({ ...frame, name: findName(frame.address, pgd, index > 0) }));
}

/** A return address may be that of the next function, where the call was the last instruction. */
function findName(address: bigint, pgd: bigint, isReturn: boolean): AddressName | undefined {
  try {
    const found = vaToSym(pgd, isReturn ? address - 1n : address);
    return found && { ...found, offset: found.offset + (isReturn ? 1 : 0) };
  } catch (error) {
    if (error instanceof KernelDataError || error instanceof RangeError) return undefined;
    throw error;
  }
}
