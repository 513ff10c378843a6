import type { GuestPath } from "../../machine/callbacks/guest-condition";
import type { Cpu } from "../../machine/state/cpu";
import { KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { TaskFacts } from "../../systems/linux/processes/task-reader";
import { getRunningProcess } from "../../machine/state/processes";

/** __KERNEL_PERCPU of a kernel of 32 bits: the segment of a vCPU's own data (arch/x86/include/asm/segment.h). */
const PERCPU_SEGMENT = 27 * 8;

/** Finds the task that a vCPU executes while it is in the kernel. */
export class CurrentTask {
  readonly #guest: LinuxGuest;
  /** Of the pointer to it, from the base of a vCPU's own data; undefined when the kernel does not say. */
  readonly place: bigint | undefined;

  constructor(guest: LinuxGuest) {
    this.#guest = guest;
    this.place = findPlace(guest);
  }

  /**
   * Gets the task when it is known to be one with an address space of its own, in which the vCPU runs.
   *
   * @throws KernelDataError when no task has that address space
   */
  getUser(cpu: Cpu): TaskFacts {
    const pgd = getRunningProcess(cpu.index);
    const found = this.find(cpu);
    if (found?.pgd === pgd) return found;
    for (const leader of this.#guest.tasks.list()) {
      const task = this.#guest.tasks.findLiving(leader);
      if (task.pgd === pgd) return task;
    }
    throw new KernelDataError("the current task", this.place ?? 0n, `none runs in 0x${pgd.toString(16)}`);
  }

  /** Finds the task, which may be a kernel thread; undefined when the kernel does not say where it notes it. */
  find(cpu: Cpu): TaskFacts | undefined {
    const address = this.findAddress(cpu);
    if (address === undefined) return undefined;
    try {
      return this.#guest.tasks.read(address);
    } catch {
      // There is no task at that address.
      return undefined;
    }
  }

  /** Finds the address of its task_struct, which is all that telling tasks apart needs; undefined as for find(). */
  findAddress(cpu: Cpu): bigint | undefined {
    return this.#findAt(this.#guest.kernel.bits === 64 ? cpu.GS_BASE : cpu.FS_BASE);
  }

  /**
   * Finds it while a vCPU executes a program, and at the kernel's first instruction of a system call, where swapgs is still to
   * come (arch/x86/entry/entry_64.S) or the segment is still to be loaded (entry_32.S).
   */
  findEntering(cpu: Cpu): bigint | undefined {
    if (this.#guest.kernel.bits === 64) return this.#findAt(cpu.KERNEL_GS_BASE);
    const base = this.#findSegmentBase(cpu.GDT_BASE);
    return base === undefined ? undefined : this.#findAt(base);
  }

  /** The way to it where findEntering() goes, for the addon; undefined when the kernel does not say where it notes it. */
  get entering(): GuestPath | undefined {
    if (this.place === undefined) return undefined;
    if (this.#guest.kernel.bits === 64) return { from: "KERNEL_GS_BASE", via: [this.place] };
    return { from: "GDT_BASE", segment: PERCPU_SEGMENT, via: [this.place] };
  }

  /** Intel SDM volume 3, figure 3-8. */
  #findSegmentBase(table: bigint): bigint | undefined {
    const { memory } = this.#guest.kernel;
    try {
      const [low, high] = [0n, 4n].map((at) => memory.u32(table + BigInt(PERCPU_SEGMENT) + at)) as [number, number];
      return BigInt(((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0);
    } catch {
      return undefined;
    }
  }

  #findAt(base: bigint): bigint | undefined {
    if (this.place === undefined) return undefined;
    const { memory, bits } = this.#guest.kernel;
    try {
      return memory.pointer(BigInt.asUintN(bits, base + this.place));
    } catch {
      return undefined;
    }
  }
}

/** arch/x86/include/asm/current.h: a variable of each vCPU, and from 6.2 to 6.14 a member of one. */
function findPlace({ kernel }: LinuxGuest): bigint | undefined {
  const own = kernel.findSymbol("current_task");
  if (own !== undefined) return own;
  const shared = kernel.findSymbol("pcpu_hot");
  const member = kernel.findMember("pcpu_hot", "current_task");
  return shared === undefined || !member ? undefined : shared + BigInt(member.offset);
}
