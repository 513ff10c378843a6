import type { AddressName, GuestModule, GuestProcess, ModuleSymbol } from "../systems/guest-system";
import type { LinuxProcess } from "../systems/linux/linux-process";
import { getSystem } from "./guest";

/**
 * Lists the guest's processes, kernel threads included.
 *
 * @typeParam Process what a script for another system than Linux expects: WindowsProcess, or GuestProcess for any
 * @throws AttachError when the guest runs no kernel that rebox knows
 * @throws KernelDataError when the kernel's own list is damaged
 */
export function getProcessList<Process extends GuestProcess = LinuxProcess>(): Process[] {
  return getSystem().getProcessList() as Process[];
}

/**
 * Finds a process of the guest.
 *
 * @typeParam Process what a script for another system than Linux expects: WindowsProcess, or GuestProcess for any
 * @param which its number in the guest (a number), or its address space (a bigint: the pgd that callbacks give)
 * @returns undefined when there is none
 * @throws AttachError when the guest runs no kernel that rebox knows
 * @throws KernelDataError when the kernel's own list is damaged
 */
export function findProcess<Process extends GuestProcess = LinuxProcess>(which: number | bigint): Process | undefined {
  return getSystem().findProcess(which) as Process | undefined;
}

/**
 * Lists the modules of an address space: programs and libraries of a process; for 0, the kernel and its modules.
 *
 * @param pgd the address space of a process, or 0
 * @throws RangeError when no process has this address space
 */
export function getModuleList(pgd: bigint): GuestModule[] {
  return getSystem().symbols.getModules(pgd);
}

/**
 * Lists the symbols of an address space.
 *
 * @param pgd the address space of a process, or 0 for the kernel and its modules
 * @param pattern a name in which * stands for any characters and ? for one; all symbols by default
 * @throws RangeError when no process has this address space
 */
export function getSymbolList(pgd: bigint, pattern = "*"): ModuleSymbol[] {
  return [...getSystem().symbols.search(pgd, pattern)];
}

/**
 * Finds the address of a symbol.
 *
 * @param pgd the address space of a process, or 0 for the kernel and its modules
 * @param module as getModuleList() names it, or its path; "kernel" is the kernel itself
 * @returns undefined when there is no such module or symbol
 */
export function symToVa(pgd: bigint, module: string, name: string): bigint | undefined {
  return getSystem().symbols.findAddress(pgd, module, name);
}

/**
 * Finds the name of an address: the symbol at or before it in the same module, and how far behind that it lies. Where a module
 * has no symbol, as a stripped program, it is the module and the offset in it, and the name is empty.
 *
 * @param pgd the address space of a process; of no matter for addresses of the kernel
 * @returns undefined when the address is in no module
 */
export function vaToSym(pgd: bigint, address: bigint): AddressName | undefined {
  const { symbols } = getSystem();
  const at = BigInt.asUintN(64, address);
  const symbol = symbols.findSymbol(pgd, at);
  if (symbol) return { ...symbol, offset: Number(at - symbol.address) };
  const module = symbols.findModule(pgd, at);
  if (!module) return undefined;
  const { base, size } = module;
  return { name: "", address: base, size, type: "", module: module.name, offset: Number(at - base) };
}

/** Reports whether the guest's kernel is one of 32 or of 64 bits. */
export function getOsBits(): 32 | 64 {
  return getSystem().bits;
}

/** Gets the time of day of the guest's own clock, as of its kernel's last tick. */
export function getSystemTime(): Date {
  return new Date(Number(getSystem().clock.realTimeNs / 1_000_000n));
}
