import type { Place } from "../../symbols/member-path";
import type { CompoundType } from "../../symbols/guest-type";
import type { TypeSource } from "../../symbols/type-source";
import type { VirtualMemory } from "../../memory/virtual-memory";
import { KernelStructs } from "../../structs/kernel-structs";

/** The structs of a kernel in another address space than its own: the PEB and the loader's lists of a process. */
export class WindowsSpace extends KernelStructs {
  readonly types: TypeSource;
  readonly memory: VirtualMemory;
  readonly #kernel: KernelStructs;

  /** @param memory the address space of the process */
  constructor(kernel: KernelStructs, memory: VirtualMemory) {
    super();
    this.#kernel = kernel;
    this.types = kernel.types;
    this.memory = memory;
  }

  /** Asks the kernel, which remembers all places: a space is made anew for each look at a process. */
  override findMember(struct: string, ...paths: readonly string[]): Place | undefined {
    return this.#kernel.findMember(struct, ...paths);
  }

  override findCompound(struct: string): CompoundType | undefined {
    return this.#kernel.findCompound(struct);
  }
}
