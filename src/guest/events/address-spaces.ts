import type { ModuleFacts } from "../../machine/callbacks/guest-event-source";
import { Engine } from "../../machine/engine/engine";
import type { NativeProcess } from "../../machine/engine/native";

/** Addresses of a process that are mapped as code. */
export interface CodeRange {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
}

/** An address space that has been reported. */
export interface AddressSpace {
  /** The address of its mm_struct. */
  readonly mm: bigint;
  /** The number of the process that it was made for. */
  readonly pid: number;
  readonly pgd: bigint;
  /** As it was when it was made. */
  readonly name: string;
  /** Its program is being loaded: its mappings are reported when all of them are there. */
  isLoading: boolean;
  /** The modules that have been reported, by base; undefined while nobody listens. */
  modules?: ReadonlyMap<bigint, ModuleFacts>;
  /** The ranges of its modules' code. */
  code: readonly CodeRange[];
}

/** The address spaces that have been reported, by the address of their mm_struct. A Map is one. */
export interface AddressSpaceTable {
  readonly size: number;
  get(mm: bigint): AddressSpace | undefined;
  has(mm: bigint): boolean;
  set(mm: bigint, space: AddressSpace): unknown;
  /** Returns whether there was one. */
  delete(mm: bigint): boolean;
  clear(): void;
  values(): Iterable<AddressSpace>;
}

/**
 * The table that the addon keeps of its own, so that hooks of processes are decided there. It knows nothing of modules:
 * what is changed in a space that was got from it is lost.
 */
export class NativeSpaceTable implements AddressSpaceTable {
  get size(): number {
    return Engine.get().native.countToldProcesses();
  }

  get(mm: bigint): AddressSpace | undefined {
    const found = Engine.get().native.findToldProcess(mm);
    return found && toSpace(found);
  }

  has(mm: bigint): boolean {
    return this.get(mm) !== undefined;
  }

  set(mm: bigint, { pid, pgd, name }: AddressSpace): void {
    Engine.get().native.setToldProcess(mm, pid, pgd, name);
  }

  delete(mm: bigint): boolean {
    return Engine.get().native.removeToldProcess(mm);
  }

  clear(): void {
    Engine.get().native.clearToldProcesses();
  }

  values(): Iterable<AddressSpace> {
    return Engine.get().native.listToldProcesses().map(toSpace);
  }
}

function toSpace([mm, pid, pgd, name]: NativeProcess): AddressSpace {
  return { mm, pid, pgd, name, isLoading: false, code: [] };
}
