import type { CallbackOptions } from "../../machine/callbacks/callback-types";
import type { Cpu } from "../../machine/state/cpu";
import type { AddressName } from "../../systems/guest-system";

/** The part of a CallbackManager that hooks need. */
export interface HookCallbacks {
  addCallback(type: string, callback: (...args: never[]) => unknown, options?: CallbackOptions): string;
  rmCallback(name: string): void;
  callbackExists(name: string): boolean;
  addTrigger(callbackName: string, path: string): void;
  setTriggerVar(callbackName: string, varName: string, value: bigint | number | Uint8Array): void;
  getTriggerVar(callbackName: string, varName: string): bigint | string | Uint8Array | undefined;
  callTriggerFunction(callbackName: string, functionName: string): void;
}

/** A function of a module, as its symbols have it. */
export interface FoundFunction {
  readonly name: string;
  readonly address: bigint;
  /** Whether it is only the one that chooses (STT_GNU_IFUNC): calls go to the one that it returns. */
  readonly isChooser: boolean;
  /** The one that was chosen, where a module of the process has been told already. */
  readonly chosen?: bigint | undefined;
}

/** The functions of a module whose names match. */
export interface FoundFunctions {
  readonly functions: readonly FoundFunction[];
  /** Whether the module's symbols can be read at all: a file that is just being mapped may not be in memory yet. */
  readonly isKnown: boolean;
  /** The width of addresses in the module's code. */
  readonly bits: 32 | 64;
  /** The module's range of addresses. */
  readonly from: bigint;
  readonly to: bigint;
  /** A name that is near to the one that was not found. */
  readonly nearest?: string | undefined;
}

/** Where the guest's kernel notes the thread that a vCPU executes. */
export interface ThreadPlaces {
  readonly bits: 32 | 64;
  /** Of the pointer to the thread, from the base of a vCPU's own data; undefined when the kernel does not say. */
  readonly current: bigint | undefined;
  /** The offsets of a thread's and a process' numbers in it. */
  readonly tid: number;
  readonly pid: number;
  /** The address of the function that each thread ends in. */
  readonly end: bigint | undefined;
}

/** Everything that hooks on functions need of rebox. Scripts in the sandbox have another one of these than trusted ones. */
export interface HookAccess {
  /** Creates the callbacks of the script that the hooks belong to. */
  createCallbacks(): HookCallbacks;
  getRunningProcess(cpuIndex: number): bigint;
  /** Gets a vCPU's registers. */
  readCpu(cpuIndex: number): Cpu;
  /** Reads memory of an address space. @returns whether all of it could be read */
  read(pgd: bigint, address: bigint, into: Uint8Array): boolean;
  /** Writes memory of an address space. @throws MemoryError */
  write(pgd: bigint, address: bigint, bytes: Uint8Array): void;
  /** Makes text of UTF-8. */
  decodeText(bytes: Uint8Array): string;
  /**
   * Finds functions of a module.
   *
   * @param pgd of the process; 0 for the kernel and its modules
   * @param base of the module; 0 for the kernel
   * @param which a name; a pattern, which finds functions that other modules can call; or the distance of a place from the base
   */
  findFunctions(pgd: bigint, base: bigint, which: string | bigint): FoundFunctions;
  findName(pgd: bigint, address: bigint): AddressName | undefined;
  findThreadPlaces(): ThreadPlaces | undefined;
  /** Returns the kind of the guest's system; undefined while it is not known. */
  findSystemKind(): string | undefined;
  /** Calls a function later, unless the script is gone by then. */
  callLater(call: () => void, delayMs: number): void;
}
