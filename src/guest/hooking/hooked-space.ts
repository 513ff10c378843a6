import type { Cpu } from "../../machine/state/cpu";
import type { HookCallbacks } from "./hook-access";
import type { HookedFunction } from "./hooked-function";

/** More addresses than this are not kept for calls to return to. */
const MOST_RETURNS = 20_000;

/** A module of a process, as its events tell of it. */
export interface LoadedModule {
  readonly pid: number;
  readonly base: bigint;
  readonly size: number;
  readonly name: string;
  readonly path: string;
}

/** An address at which hooked functions begin: several hooks may be on one. */
export interface Entry {
  readonly address: bigint;
  readonly functions: HookedFunction[];
}

/** The functions that a space calls at its hooks. */
export interface SpaceEvents {
  onEnter(space: HookedSpace, entry: Entry, cpuIndex: number, cpu: Cpu): void | Promise<void>;
  onReturn(space: HookedSpace, address: bigint, cpuIndex: number, cpu: Cpu): void | Promise<void>;
}

/** The writer of calls for hooks whose handlers take many at a time. */
export interface SpaceRecorder {
  add(space: bigint, called: HookedFunction): void;
  remove(called: HookedFunction): void;
}

/** The hooks in one address space; with pgd 0, those in the kernel, which is in all. */
export class HookedSpace {
  readonly modules = new Map<bigint, LoadedModule>();
  readonly #entries = new Map<bigint, Entry & { readonly callback: string }>();
  readonly #returns = new Map<bigint, string>();
  readonly #recorded: HookedFunction[] = [];

  constructor(
    readonly pgd: bigint,
    readonly pid: number,
    private readonly callbacks: HookCallbacks,
    private readonly events: SpaceEvents,
    private readonly recorder: SpaceRecorder,
  ) {}

  /** The hooked functions, in the order in which they were hooked. */
  *functions(): IterableIterator<HookedFunction> {
    for (const { functions } of this.#entries.values()) yield* functions;
    yield* this.#recorded;
  }

  /** Hooks a function. Nothing happens when this hook is on it already. */
  add(called: HookedFunction): void {
    const { address, hook } = called;
    if (hook.handlers.onCalls !== undefined) {
      this.#record(called);
      return;
    }
    const known = this.#entries.get(address);
    if (known !== undefined) {
      if (!known.functions.some((one) => one.hook === hook)) known.functions.push(called);
      return;
    }
    const functions = [called];
    const entry = { address, functions };
    const callback = this.#hook(address, (cpuIndex, cpu) => this.events.onEnter(this, entry, cpuIndex, cpu));
    this.#entries.set(address, { ...entry, callback });
  }

  /** Has the events told when code at an address begins, to which a call returns. */
  watchReturn(address: bigint, isNeeded: (address: bigint) => boolean): void {
    if (this.#returns.has(address)) return;
    if (this.#returns.size >= MOST_RETURNS) {
      for (const known of [...this.#returns.keys()]) if (!isNeeded(known)) this.#unwatch(known);
    }
    const callback = this.#hook(address, (cpuIndex, cpu) => this.events.onReturn(this, address, cpuIndex, cpu));
    this.#returns.set(address, callback);
  }

  /** Takes out hooks on functions. */
  remove(isGone: (called: HookedFunction) => boolean): void {
    for (let index = this.#recorded.length - 1; index >= 0; index--) {
      if (isGone(this.#recorded[index]!)) this.recorder.remove(this.#recorded.splice(index, 1)[0]!);
    }
    for (const [address, { functions, callback }] of this.#entries) {
      for (let index = functions.length - 1; index >= 0; index--)
        if (isGone(functions[index]!)) functions.splice(index, 1);
      if (functions.length > 0) continue;
      this.#entries.delete(address);
      this.#drop(callback);
    }
  }

  /** Takes out everything in a range of addresses, whose code is no longer there. */
  removeRange(from: bigint, to: bigint): void {
    this.remove(({ address }) => address >= from && address < to);
    for (const address of [...this.#returns.keys()]) if (address >= from && address < to) this.#unwatch(address);
  }

  /** Takes out everything. */
  clear(): void {
    this.remove(() => true);
    for (const address of [...this.#returns.keys()]) this.#unwatch(address);
  }

  #record(called: HookedFunction): void {
    if (this.#recorded.some(({ address, hook }) => address === called.address && hook === called.hook)) return;
    this.#recorded.push(called);
    this.recorder.add(this.pgd, called);
  }

  #hook(addr: bigint, listener: (cpuIndex: number, cpu: Cpu) => void | Promise<void>): string {
    const place = this.pgd === 0n ? { addr } : { addr, pgd: this.pgd };
    return this.callbacks.addCallback("INSN_BEGIN_CB", listener, place);
  }

  #unwatch(address: bigint): void {
    this.#drop(this.#returns.get(address)!);
    this.#returns.delete(address);
  }

  #drop(callback: string): void {
    // One that took too long was cut off, and is gone already.
    if (this.callbacks.callbackExists(callback)) this.callbacks.rmCallback(callback);
  }
}
