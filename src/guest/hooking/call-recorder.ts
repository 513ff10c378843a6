import type { RegisterName } from "../../machine/state/cpu";
import type { AddressName } from "../../systems/guest-system";
import { bitsOf } from "./calling-convention";
import type { HookAccess, HookCallbacks, ThreadPlaces } from "./hook-access";
import type { FunctionHandlers, HookBody, HookedFunction } from "./hooked-function";
import { isReadAtEnd, planPieces, type RecordBatch, RecordedCall, type RecordedFunction } from "./recorded-call";
import type { ThreadReader } from "./thread-reader";
import { isFloatType, isSignedType, sizeOfType } from "./value-types";

const TRIGGER = "triggers/trigger_call_record";
/** How long records may lie there. */
const FLUSH_MS = 200;
/** Functions whose module is gone are kept for calls that may still be open, up to so many. */
const MOST_RETIRED = 10_000;
/** By their numbers in qemu_glue.h (register_num_t). */
const REGISTERS: readonly RegisterName[] = [
  ...["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"],
  ...["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"],
] as RegisterName[];
const CONVENTIONS = ["sysv64", "cdecl32", "regparm32"] as const;
const NEW_CALLER = 0xffff_ffff;
const BY_RESULT = 255;

type OnCalls = NonNullable<FunctionHandlers["onCalls"]>;

/** Has the calls of functions written down natively, by triggers/trigger_call_record.cc, and hands them to the hooks. */
export class CallRecorder {
  readonly #functions = new Map<number, RecordedFunction>();
  readonly #ids = new Map<HookedFunction, number>();
  readonly #retired = new Set<number>();
  readonly #hooks = new Map<HookBody, number>();
  /** By address space, 0 for the kernel, and return address. */
  readonly #callers = new Map<bigint, Map<bigint, AddressName | undefined>>();
  #lastId = 0;
  #added: number[] = [];
  #removed: number[] = [];
  #callback: string | undefined;
  #places: ThreadPlaces | undefined;
  #isTaking = false;

  constructor(
    private readonly access: HookAccess,
    private readonly callbacks: HookCallbacks,
    private readonly threads: ThreadReader,
  ) {}

  /** Records a function, from apply() on. @param space its address space, 0 in the kernel */
  add(space: bigint, called: HookedFunction): void {
    const id = ++this.#lastId;
    this.#functions.set(id, { called, space, ...planPieces(called) });
    this.#ids.set(called, id);
    this.#added.push(id);
    if (!this.#hooks.has(called.hook)) this.#hooks.set(called.hook, this.#hooks.size);
  }

  /** Records a function no more, from apply() on. */
  remove(called: HookedFunction): void {
    const id = this.#ids.get(called);
    if (id === undefined) return;
    this.#ids.delete(called);
    this.#retired.add(id);
    this.#removed.push(id);
  }

  /**
   * Tells the trigger what was added and removed.
   *
   * @param isForgotten calls of the removed functions that are open are of no interest any more
   */
  apply(isForgotten = false): void {
    if (this.#added.length === 0 && this.#removed.length === 0) return;
    const name = this.#start();
    this.#renew(name);
    const added = this.#added.splice(0);
    const removed = this.#removed.splice(0);
    if (removed.length > 0) {
      this.#call(name, { ids: new Uint8Array(Uint32Array.from(removed).buffer) }, isForgotten ? "forget" : "remove");
      if (isForgotten) for (const id of removed) this.#drop(id);
      for (const id of this.#retired) if (this.#retired.size > MOST_RETIRED) this.#drop(id);
    }
    if (added.length > 0) this.#call(name, { functions: this.#describe(added) }, "add");
  }

  /** Takes what was written down, and hands it over. @throws what a hook's function has thrown */
  take(): void {
    const name = this.#callback;
    if (name === undefined || this.#isTaking || !this.callbacks.callbackExists(name)) return;
    this.#isTaking = true;
    try {
      this.callbacks.callTriggerFunction(name, "take");
      const bytes = this.callbacks.getTriggerVar(name, "records") as Uint8Array;
      if (bytes.length > 0) this.#handOver(bytes);
    } finally {
      this.#isTaking = false;
    }
  }

  /** Ends the calls in an address space that is gone: those of threads that ended with it have ended before. */
  endSpace(pgd: bigint): void {
    const name = this.#callback;
    if (name === undefined) return;
    try {
      this.#call(name, { space: pgd }, "leave");
      this.take();
    } finally {
      this.#callers.delete(pgd);
      for (const [id, { space }] of this.#functions) if (space === pgd) this.#drop(id);
    }
  }

  /** Has callers looked up anew: something else may be there now. Takes what was recorded until now. */
  renewCallers(space: bigint): void {
    const name = this.#callback;
    if (name === undefined) return;
    this.take();
    this.#call(name, { space }, "forget_callers");
  }

  /** Counts the calls of a hook that have begun. */
  count(body: HookBody): number {
    const number = this.#hooks.get(body);
    if (this.#callback === undefined || number === undefined || !this.callbacks.callbackExists(this.#callback))
      return 0;
    this.callbacks.callTriggerFunction(this.#callback, "count");
    const bytes = this.callbacks.getTriggerVar(this.#callback, "counts") as Uint8Array;
    if (bytes.length < 8 * (number + 1)) return 0;
    return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8 * number, true));
  }

  /** Ends everything. */
  stop(): void {
    if (this.#callback !== undefined && this.callbacks.callbackExists(this.#callback)) {
      this.callbacks.rmCallback(this.#callback);
    }
    this.#callback = undefined;
    this.#places = undefined;
    for (const known of [this.#functions, this.#ids, this.#retired, this.#hooks, this.#callers]) known.clear();
    this.#added = [];
    this.#removed = [];
  }

  #start(): string {
    if (this.#callback !== undefined) return this.#callback;
    // The trigger chooses the addresses; it takes none of its own.
    const name = this.callbacks.addCallback("INSN_BEGIN_CB", () => this.take(), { name: "recorded_calls", addr: 0n });
    try {
      this.callbacks.addTrigger(name, TRIGGER);
    } catch (error) {
      this.callbacks.rmCallback(name);
      throw error;
    }
    this.#callback = name;
    this.access.callLater(() => this.#flush(), FLUSH_MS);
    return name;
  }

  #flush(): void {
    if (this.#callback === undefined) return;
    this.access.callLater(() => this.#flush(), FLUSH_MS);
    this.take();
  }

  /** Tells the trigger where the kernel notes the running thread, when that is known or has changed. */
  #renew(name: string): void {
    const { places } = this.threads;
    if (places === undefined || places === this.#places) return;
    this.#places = places;
    const { bits, current = -1, tid, pid, end = 0 } = places;
    this.#call(name, { bits, current, thread: tid, process: pid, end }, "renew");
  }

  #call(name: string, variables: Readonly<Record<string, bigint | number | Uint8Array>>, called: string): void {
    if (!this.callbacks.callbackExists(name)) return;
    for (const [key, value] of Object.entries(variables)) this.callbacks.setTriggerVar(name, key, value);
    this.callbacks.callTriggerFunction(name, called);
  }

  #drop(id: number): void {
    this.#functions.delete(id);
    this.#retired.delete(id);
  }

  #handOver(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const batch: RecordBatch = {
      view,
      bytes,
      decodeText: (text) => this.access.decodeText(text),
      findCaller: ({ space }, address) => this.#callers.get(space)?.get(address),
    };
    // Hooks that share a function get their calls in one order.
    const groups: { readonly onCalls: OnCalls; readonly calls: RecordedCall[] }[] = [];
    for (let at = 0; at < bytes.length; at += view.getUint32(at, true)) {
      const id = view.getUint32(at + 4, true);
      if (id === NEW_CALLER) {
        this.#noteCaller(view, at);
        continue;
      }
      const recorded = this.#functions.get(id);
      const onCalls = recorded?.called.hook.handlers.onCalls;
      if (recorded === undefined || onCalls === undefined) continue;
      if (groups.at(-1)?.onCalls !== onCalls) groups.push({ onCalls, calls: [] });
      groups.at(-1)!.calls.push(new RecordedCall(batch, at, recorded));
    }
    const errors: unknown[] = [];
    for (const { onCalls, calls } of groups) {
      try {
        onCalls(calls);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  #noteCaller(view: DataView, at: number): void {
    const [pgd, address, space] = [8, 16, 24].map((place) => view.getBigUint64(at + place, true)) as [bigint, bigint, bigint]; // prettier-ignore
    let known = this.#callers.get(space);
    if (known === undefined) this.#callers.set(space, (known = new Map()));
    let found: AddressName | undefined;
    try {
      // A call may be the last instruction of its function: the address that it returns to lies behind that.
      found = this.access.findName(pgd, address - 1n);
    } catch {
      // The process is just ending: its list of modules is gone.
    }
    known.set(address, found && { ...found, offset: found.offset + 1 });
  }

  #describe(ids: readonly number[]): Uint8Array {
    const size = ids.reduce((sum, id) => sum + 56 + 8 * this.#functions.get(id)!.called.parameters.length, 0);
    const view = new DataView(new ArrayBuffer(size));
    let at = 0;
    for (const id of ids) at = this.#describeOne(view, at, id, this.#functions.get(id)!);
    return new Uint8Array(view.buffer);
  }

  /** Writes one description; triggers/recorded_function.h says how. @returns where the next one begins */
  #describeOne(view: DataView, at: number, id: number, { called, space }: RecordedFunction): number {
    const { hook, convention, parameters, places, returns, filled } = called;
    const bits = bitsOf(convention);
    view.setUint32(at, id, true);
    const flags = (hook.fromOutside ? 1 : 0) | (space === 0n ? 2 : 0);
    const result = isFloatType(returns) ? 1 : returns === "text" ? 2 : 0;
    const facts = [flags, CONVENTIONS.indexOf(convention), parameters.length, result, sizeOfType(returns, bits)];
    [...facts, isSignedType(returns) ? 1 : 0].forEach((fact, index) => view.setUint8(at + 4 + index, fact));
    [hook.maxTextBytes, hook.maxBytes, this.#hooks.get(hook)!].forEach((fact, index) =>
      view.setUint16(at + 10 + 2 * index, fact, true),
    );
    [space, called.address, called.from, called.to, BigInt(bits / 8)].forEach((fact, index) =>
      view.setBigUint64(at + 16 + 8 * index, fact, true),
    );
    parameters.forEach((type, index) => {
      const place = places[index]!;
      const to = at + 56 + 8 * index;
      const kind = ["register", "vector", "stack"].indexOf(place.kind);
      const isAtEnd = isReadAtEnd(type, filled.includes(index));
      const pointee = type === "text" ? 1 : typeof type === "object" ? 2 : 0;
      const counter = typeof type === "object" ? (type.bytes === "result" ? BY_RESULT : type.bytes) : 0;
      const typeFlags = (isSignedType(type) ? 1 : 0) | (isAtEnd ? 2 : 0);
      const number = place.kind === "stack" ? 0 : findRegister(place.name);
      [kind, number, sizeOfType(type, bits), typeFlags, pointee, counter].forEach((fact, byte) =>
        view.setUint8(to + byte, fact),
      );
      view.setUint16(to + 6, place.kind === "stack" ? place.offset : 0, true);
    });
    return at + 56 + 8 * parameters.length;
  }
}

function findRegister(name: RegisterName): number {
  const vector = /^XMM(\d+)$/.exec(name);
  return vector ? Number(vector[1]) : REGISTERS.indexOf(name.replace(/^E/, "R") as RegisterName);
}
