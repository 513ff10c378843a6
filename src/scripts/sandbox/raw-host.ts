/**
 * The functions of rebox that the sandbox's own code is given. They are of rebox's realm: a script must never hold one, nor
 * anything that one of them returns, except primitives. Only realm/host-access.ts touches them.
 */
export interface RawHost {
  /** Carries out one of operations.ts. Takes and returns text of message-codec.ts. */
  call(operation: string, message: string): string;
  /** Registers a callback or stream, whose function the engine then calls directly. Returns text like call(). */
  register(message: string, listener: (...args: never[]) => unknown): string;
  readPhysical(address: bigint, into: Uint8Array): number;
  writePhysical(address: bigint, from: Uint8Array): number;
  readVirtual(pgd: bigint, address: bigint, into: Uint8Array): number;
  writeVirtual(pgd: bigint, address: bigint, from: Uint8Array): number;
  lastFault(): bigint;
  /**
   * Copies the bytes of a trigger's variable as far as there is room, and returns how many it has; -1 when it has none, or may not be
   * asked.
   */
  copyTriggerBytes(manager: number, callbackName: string, variable: string, into: Uint8Array): number;
  /** A view of the guest's RAM. It must not reach a script: its buffer is rebox's. */
  viewPhysical(address: bigint, size: number): DataView | undefined;
  /** A vCPU's state in 64-bit words. It must not reach a script. */
  words(cpuIndex: number): BigUint64Array | undefined;
  readRegister(cpuIndex: number, id: number): bigint;
  /** The address space that a vCPU runs in. */
  readRunningProcess(cpuIndex: number): bigint;
  /** The guest-physical address of a virtual one; undefined when nothing is mapped there. */
  translate(pgd: bigint, address: bigint): bigint | undefined;
  isMonitored(pgd: bigint): boolean;
  blockCount(): number;
  /** Takes hold of the guest for a callback whose promise has not settled. What it returns is for the engine alone. */
  hold(id: number): unknown;
  /** Something of the sandbox may wait in its queue of promises: it is to be emptied soon. */
  readonly flags: Uint8Array;
}

/** An operation as the sandbox knows it: the functions and members of "rebox" and of Node's modules are made of these. */
export interface OperationDescription {
  readonly name: string;
  /** The most arguments that it takes; null for any number. */
  readonly most: number | null;
  /** Which of them are made text before they cross. */
  readonly texts: readonly number[];
  readonly isAsync: boolean;
  readonly isGetter: boolean;
  readonly result: "copy" | "frozen" | "iterator" | "object";
}

/** The functions of the sandbox that rebox calls. Each takes and returns text or primitives, and does not throw. */
export interface RealmControl {
  /** The end of every chain of prototypes in there: only compared with. */
  readonly root: object;
  /** Runs a bundle's function. Returns the names and kinds of what the script exports, and its requirements. */
  load(factory: unknown, message: string): string;
  /** Calls an exported function. ticket is what settled() is told when it has returned a promise. */
  invoke(name: string, message: string, ticket: number): string;
  /** Reads an export, for a script that requires this one: ["function"], or ["value", a copy]. */
  readExport(name: string): string;
  /** Calls an exported function for such a script, which is given all that it returns. */
  callExport(name: string, message: string, ticket: number): string;
  /** A timer has run out. */
  fire(timer: number): string;
  /** An operation that had been answered with a ticket is over. */
  settle(ticket: number, message: string): string;
  /** An event of the engine. */
  emit(subscription: number, message: string): string;
  /** Describes a value of this realm that was thrown. One of another realm must never be given to it. */
  describe(value: unknown): string;
  copyHotData(): string;
}
