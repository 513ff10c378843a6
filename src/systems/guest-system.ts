import type { GuestStruct } from "./structs/struct-view";
import type { GuestSymbol } from "./symbols/symbol-table";
import type { TypeSource } from "./symbols/type-source";

/**
 * The parts that every system rebox knows has in common: the interfaces by which src/guest and the shell see a guest whose
 * system does not matter to them. Each system has a folder beside this file, with more of its own.
 */

export type SystemKind = "linux" | "windows";

/** The guest's own clock, in nanoseconds since 1970. */
export interface GuestClock {
  /** The time of day, as of the kernel's last tick. */
  readonly realTimeNs: bigint;
  /** The time of day at which the kernel started. */
  readonly bootTimeNs: bigint;
}

/** The system that a guest runs, read from its memory. */
export interface GuestSystem {
  readonly kind: SystemKind;
  /** The system's own words about its version and build, in one line. */
  readonly version: string;
  /** The width of the kernel's addresses. */
  readonly bits: 32 | 64;
  readonly clock: GuestClock;
  /** Where vCPUs enter the kernel: the registers that hold one of them identify it. */
  readonly kernelEntries: readonly bigint[];
  readonly symbols: SystemSymbols;
  /** The structs of the kernel. */
  readonly types: TypeSource;
  /** Lists the processes in the order in which they were started. @throws KernelDataError when the list is damaged */
  getProcessList(): GuestProcess[];
  /** Finds a process: by its number (a number), or by its address space (a bigint, the pgd). */
  findProcess(which: number | bigint): GuestProcess | undefined;
  /**
   * Reads a struct by its members' names.
   *
   * @param types those of a module, from getModuleTypes(); the kernel's by default
   * @throws MissingTypeError when there is no such struct
   */
  struct(name: string, address: bigint, types?: TypeSource): GuestStruct;
  /** Gets the types that a module adds to the kernel's. @throws RangeError, MissingTypeError when it has none */
  getModuleTypes(module: string): TypeSource;
}

/**
 * A process of the guest. The members up to `kaddr` are as they were when the list was made; the others are read when they
 * are asked for.
 */
export interface GuestProcess {
  readonly pid: number;
  /** The parent's pid; 0 for the first processes. */
  readonly ppid: number;
  /** The physical address of the page table, as callbacks report it; 0 without an address space of its own. */
  readonly pgd: bigint;
  readonly name: string;
  /** The address of the kernel's own record of the process. */
  readonly kaddr: bigint;
  /** Whether it is the kernel's own: it has no program. */
  readonly isKernelThread: boolean;
  readonly commandLine: readonly string[];
  /** The path of the program; empty for a process without one. */
  readonly executable: string;
  readonly startTime: Date;
  readonly threads: readonly GuestThread[];
  /** Whether the process is still there, with the address space that it had when the list was made. */
  readonly isAlive: boolean;
}

/** A thread of a process. */
export interface GuestThread {
  readonly tid: number;
  /** The address of the kernel's own record of the thread. */
  readonly kaddr: bigint;
}

/** Code that was loaded as one piece: the kernel, a module or driver of it, a program or a library of a process. */
export interface GuestModule {
  /** "kernel" for the kernel itself, else the module's name or the last part of its path. */
  readonly name: string;
  /** Empty where the guest does not say. */
  readonly path: string;
  readonly base: bigint;
  /** In bytes, from base to the end of the last piece. */
  readonly size: number;
  /** The pieces that belong to it, in the order of their addresses for a program or library; sizes in bytes. */
  readonly memory: readonly { readonly base: bigint; readonly size: number }[];
  /** Returns whether an address belongs to it. */
  contains(address: bigint): boolean;
}

/** A symbol with the name of the module that it belongs to. */
export interface ModuleSymbol extends GuestSymbol {
  readonly module: string;
}

/** An address by its name: the symbol at or before it in its module, or, where the module has none there, the module alone. */
export interface AddressName extends ModuleSymbol {
  /** Empty where the module has no symbol: `address` is the module's base then. */
  readonly name: string;
  /** How far the address lies behind `address`, in bytes. */
  readonly offset: number;
}

/**
 * The names of addresses in all modules of a guest. An address space is given by its pgd, 0 for the kernel and its modules;
 * one that no process has is a RangeError.
 */
export interface SystemSymbols {
  /** Lists the modules of an address space. */
  getModules(pgd: bigint): GuestModule[];
  /** Finds the address of a name in one module, which is given by its name or path. */
  findAddress(pgd: bigint, module: string, name: string): bigint | undefined;
  /**
   * Finds the address of a name wherever it is: in the kernel first, then in its modules, then in what a process has mapped.
   *
   * @param module its name or path, when only that is to be looked through
   */
  resolve(pgd: bigint, module: string | undefined, name: string): bigint | undefined;
  /** Finds the symbol at or before an address, in the module that the address belongs to. */
  findSymbol(pgd: bigint, address: bigint): ModuleSymbol | undefined;
  /** Finds the module that an address belongs to. */
  findModule(pgd: bigint, address: bigint): GuestModule | undefined;
  /** Lists the symbols whose name matches a pattern, in which * stands for any characters and ? for one. */
  search(pgd: bigint, pattern: string): IterableIterator<ModuleSymbol>;
  /** Says why a module has no symbols; undefined when it has some, or is not there. */
  explainEmpty(pgd: bigint, module: GuestModule): string | undefined;
}
