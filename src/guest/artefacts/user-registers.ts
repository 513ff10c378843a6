import type { Cpu } from "../../machine/state/cpu";
import { getCpus } from "../../machine/state/cpu";
import { AddressError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { TaskFacts } from "../../systems/linux/processes/task-reader";
import { CurrentTask } from "../events/current-task";

/** The order of struct user_regs_struct (arch/x86/include/asm/user_64.h); the first 21 are struct pt_regs. */
export const USER_REGISTERS = [
  ...["R15", "R14", "R13", "R12", "RBP", "RBX", "R11", "R10", "R9", "R8", "RAX", "RCX", "RDX", "RSI", "RDI"],
  ...["ORIG_RAX", "RIP", "CS", "RFLAGS", "RSP", "SS", "FS_BASE", "GS_BASE", "DS", "ES", "FS", "GS"],
] as const;
const SAVED = 21;
const CODE = 17;
/** THREAD_SIZE of 64 bits, and with KASAN (arch/x86/include/asm/page_64_types.h). */
const STACK_SIZES = [16384n, 32768n];
/** TOP_OF_KERNEL_STACK_PADDING: with FRED two words (arch/x86/include/asm/thread_info.h). */
const PADDINGS = [0n, 16n];
/** Selectors of code of programs, of 64 bits and of 32 (arch/x86/include/asm/segment.h). */
const USER_CODE = [0x33n, 0x23n];

/** Reads the registers that threads have in their programs, also of those that are in the kernel or wait. */
export class UserRegisters {
  readonly #guest: LinuxGuest;
  readonly #current: CurrentTask;

  constructor(guest: LinuxGuest) {
    this.#guest = guest;
    this.#current = new CurrentTask(guest);
  }

  /** Reads the registers of a thread, in the order of USER_REGISTERS; undefined when they are not where the kernel keeps them. */
  read(thread: Pick<TaskFacts, "kaddr">): bigint[] | undefined {
    const cpu = getCpus().find((one) => this.#findTask(one) === thread.kaddr);
    if (cpu?.CPL === 3n) return this.#readCpu(cpu);
    const saved = this.#readSaved(thread.kaddr);
    if (saved === undefined) return undefined;
    const task = this.#guest.kernel.at("task_struct", thread.kaddr);
    const base = (name: "fsbase" | "gsbase") => (task.has(`thread.${name}`) ? task.value(`thread.${name}`) : 0n);
    // Of the one that a vCPU is in the kernel for, they are still in the vCPU: swapgs has put the program's aside.
    const [fs, gs] = cpu ? [cpu.FS_BASE, cpu.KERNEL_GS_BASE] : [base("fsbase"), base("gsbase")];
    return [...saved, fs, gs, 0n, 0n, 0n, 0n];
  }

  #findTask(cpu: Cpu): bigint | undefined {
    if (cpu.CPL !== 3n) return this.#current.findAddress(cpu);
    if (this.#current.place === undefined) return undefined;
    try {
      return this.#guest.kernel.memory.pointer(BigInt.asUintN(64, cpu.KERNEL_GS_BASE + this.#current.place));
    } catch (error) {
      if (error instanceof AddressError) return undefined;
      throw error;
    }
  }

  #readCpu(cpu: Cpu): bigint[] {
    // It is in no system call.
    return USER_REGISTERS.map((name) => (name === "ORIG_RAX" ? (1n << 64n) - 1n : cpu[name]));
  }

  /** arch/x86/include/asm/processor.h: task_pt_regs(), at the end of the kernel's stack. Which end, the selectors say. */
  #readSaved(task: bigint): bigint[] | undefined {
    const { kernel } = this.#guest;
    const stack = kernel.at("task_struct", task).value("stack");
    for (const size of STACK_SIZES) {
      for (const padding of PADDINGS) {
        const at = stack + size - padding - BigInt(SAVED * 8);
        const bytes = Buffer.from(kernel.memory.readSome(at, SAVED * 8));
        if (bytes.length < SAVED * 8) continue;
        const values = Array.from({ length: SAVED }, (_, index) => bytes.readBigUInt64LE(index * 8));
        // The upper bits are FRED's.
        if (USER_CODE.includes(values[CODE]! & 0xffffn)) return values.map((value, index) => (index === CODE || index === SAVED - 1 ? value & 0xffffn : value)); // prettier-ignore
      }
    }
    return undefined;
  }
}
