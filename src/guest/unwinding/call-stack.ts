import type { Cpu } from "../../machine/state/cpu";
import { AddressError, KernelDataError } from "../../systems/errors";
import type { OpenedSpace } from "../../systems/linux/guest-symbols";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { LinuxProcess } from "../../systems/linux/linux-process";
import { USER_REGISTERS, UserRegisters } from "../artefacts/user-registers";
import { CurrentTask } from "../events/current-task";
import { createUserStack } from "./backtrace";
import { followUser, type UserRegisterValues } from "./user-backtrace";
import { DWARF_REGISTERS } from "./user-unwinder";

const USER = 3n;
const MOST_FRAMES = 64;

/** A function of a program that is being executed, as the results of an analysis have it. */
export interface CallFrame {
  /** In hexadecimal: where it is, or where what it has called returns to. */
  readonly address: string;
  /** The program or library that the address is in; undefined outside of all. */
  readonly module?: string;
  /** How far behind the module's beginning in memory, in bytes: the same in each run. */
  readonly offset?: number;
  /** The symbol of the module at or before the address, and how far behind that, in bytes. */
  readonly symbol?: string;
  readonly within?: number;
}

/** Lists the functions of the program that a vCPU executes, or has entered the kernel from: the innermost first. */
export function readStackOfCpu(guest: LinuxGuest, process: LinuxProcess, cpu: Cpu): CallFrame[] {
  if (cpu.CPL !== USER) {
    const task = new CurrentTask(guest).findAddress(cpu);
    return task === undefined ? [] : readStackOfTask(guest, process, task);
  }
  return readStack(guest, process, () => Object.fromEntries(DWARF_REGISTERS[64].map((name) => [name, cpu[name]])));
}

/**
 * Lists the functions that a program executes in a thread that is in the kernel: the innermost first; none of a kernel of 32 bits.
 *
 * @param task its task_struct
 */
export function readStackOfTask(guest: LinuxGuest, process: LinuxProcess, task: bigint): CallFrame[] {
  if (guest.bits !== 64) return [];
  return readStack(guest, process, () => {
    const values = new UserRegisters(guest).read({ kaddr: task });
    return Object.fromEntries(USER_REGISTERS.map((name, index) => [name, values?.[index]]));
  });
}

function readStack(guest: LinuxGuest, process: LinuxProcess, readRegisters: () => UserRegisterValues): CallFrame[] {
  try {
    const registers = readRegisters();
    const { RIP: ip, RSP: sp, RBP: bp = 0n } = registers;
    if (ip === undefined || sp === undefined) return [];
    const space = guest.symbols.openSpace(process);
    const stack = createUserStack(guest, process.pgd, space.findUnwindData);
    const frames = [describe(ip, false, space)];
    for (const { address } of followUser({ ip, sp, bp, isExact: true, all: registers }, stack)) {
      if (frames.length >= MOST_FRAMES) break;
      frames.push(describe(address, true, space));
    }
    return frames;
  } catch (error) {
    // The process is going, or its memory is damaged: that is no reason to end what was seen of it.
    if (error instanceof AddressError || error instanceof KernelDataError) return [];
    throw error;
  }
}

/** @param isReturn the address may be that of the next function, where the call was the last instruction */
function describe(address: bigint, isReturn: boolean, { findName }: OpenedSpace): CallFrame {
  const found = findName(isReturn ? address - 1n : address);
  const shown = { address: `0x${address.toString(16)}` };
  if (found === undefined) return shown;
  const { module, symbol } = found;
  const named = symbol === undefined ? {} : { symbol: symbol.name, within: Number(address - symbol.address) };
  return { ...shown, module: module.name, offset: Number(address - module.base), ...named };
}
