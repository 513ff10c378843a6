import type { HookAccess, HookCallbacks, ThreadPlaces } from "../hook-access";
import type { HookBody, HookedFunction } from "../hooked-function";
import type { ThreadReader } from "../thread-reader";
import { describeFunctions } from "./function-descriptions";
import { handOver, RecordReader } from "./record-reader";
import { planPieces, type RecordedFunction } from "./recorded-call";

const TRIGGER = "triggers/trigger_call_record";
/** How long records may lie there. */
const FLUSH_MS = 200;
/** Functions whose module is gone are kept for calls that may still be open, up to so many. */
const MOST_RETIRED = 10_000;

/** Has the calls of functions written down natively, by triggers/trigger_call_record.cc, and hands them to the hooks. */
export class CallRecorder {
  readonly #functions = new Map<number, RecordedFunction>();
  readonly #ids = new Map<HookedFunction, number>();
  readonly #retired = new Set<number>();
  readonly #hooks = new Map<HookBody, number>();
  readonly #reader: RecordReader;
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
  ) {
    this.#reader = new RecordReader(access, (id) => this.#functions.get(id));
  }

  /** Loads the trigger, which may have to be compiled first: not while the guest is held in a callback, which has a limit of time. */
  start(): string {
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
    if (this.#added.includes(id)) {
      this.#added = this.#added.filter((one) => one !== id);
      this.#drop(id);
      return;
    }
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
    const name = this.start();
    this.#renew(name);
    const added = this.#added.splice(0);
    const removed = this.#removed.splice(0);
    if (removed.length > 0) {
      this.#call(name, { ids: new Uint8Array(Uint32Array.from(removed).buffer) }, isForgotten ? "forget" : "remove");
      if (isForgotten) for (const id of removed) this.#drop(id);
      for (const id of this.#retired) if (this.#retired.size > MOST_RETIRED) this.#drop(id);
    }
    if (added.length === 0) return;
    const described = added.map((id) => ({ id, ...this.#functions.get(id)! }));
    this.#call(name, { functions: describeFunctions(described, (hook) => this.#hooks.get(hook)!) }, "add");
  }

  /** Takes what was written down, and hands it over. @throws what a hook's function has thrown */
  take(): void {
    const name = this.#callback;
    if (name === undefined || this.#isTaking || !this.callbacks.callbackExists(name)) return;
    this.#isTaking = true;
    try {
      this.callbacks.callTriggerFunction(name, "take");
      const bytes = this.callbacks.getTriggerVar(name, "records") as Uint8Array;
      if (bytes.length === 0) return;
      const calls = this.#reader.read(bytes);
      // The calls that come now are not to have the time of looking up who makes them.
      this.callbacks.callTriggerFunction(name, "resume");
      handOver(calls);
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
      this.#reader.forgetCallers(pgd);
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
    for (const known of [this.#functions, this.#ids, this.#retired, this.#hooks]) known.clear();
    this.#reader.forgetCallers();
    this.#added = [];
    this.#removed = [];
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
}
