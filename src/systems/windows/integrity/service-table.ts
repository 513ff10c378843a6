import { readServiceTable } from "../kernel/system-call-table";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { asModule, KERNEL, type KernelModule } from "../modules/module-list";

/** A system call, and the function that carries it out. */
export interface Service {
  readonly number: number;
  /** The name of the function; empty where it has none, as one of a driver without symbols. */
  readonly name: string;
  /** The function. */
  readonly address: bigint;
  /** The module that the function lies in; empty where it lies in none. */
  readonly module: string;
  /** Whether the function lies outside of the kernel: somebody has put another one into the table. */
  readonly isForeign: boolean;
}

/**
 * Lists the system calls of the kernel's own table with where each leads.
 *
 * @param modules the kernel and its drivers
 * @throws KernelDataError, MissingSymbolError when the table cannot be read
 */
export function listServices(kernel: WindowsKernel, modules: readonly KernelModule[]): Service[] {
  const known = modules.map((module) => asModule(kernel, module));
  return readServiceTable(kernel).map(({ number, target }): Service => {
    const module = known.find((one) => one.contains(target))?.name ?? "";
    const isForeign = module !== KERNEL;
    const symbol = isForeign ? undefined : kernel.symbols.findSymbol(target);
    return { number, name: symbol?.address === target ? symbol.name : "", address: target, module, isForeign };
  });
}
