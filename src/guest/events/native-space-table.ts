import { Engine } from "../../machine/engine/engine";
import type { NativeProcess } from "../../machine/engine/native";
import type { AddressSpace } from "./address-space";
import type { AddressSpaceTable } from "./address-space-table";

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
