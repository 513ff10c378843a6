import { MemoryLimitError } from "../../config/errors";
import { MEMORY_FULL } from "../../config/limits";
import { Engine } from "../engine/engine";
import { EVENTS } from "../engine/event-table";
import { isOwnError } from "../engine/realm-root";
import { getCpus } from "../state/cpu";
import { holdGuest, noteCalls, releaseHolds, takeCutOff } from "./calls-under-way";
import type { Subscription } from "./callback-options";
import type { CallbackType } from "./callback-types";
import type { EventBatch } from "./event-batch";
import { guestEvents, isGuestEventType } from "./guest-event-source";
import { TranslationBlock } from "./translation-block";

/** One registered callback. */
export interface RegisteredCallback {
  readonly name: string;
  readonly type: CallbackType;
  /** The module that it belongs to, and goes with. */
  readonly moduleHandle: number;
  readonly listenerId: number;
  errors: number;
}

/** The target of a stream's events. */
export interface StreamTarget {
  readonly batch: EventBatch;
  /** Events are dropped while the batch is full; otherwise the handler is called at once. */
  readonly drop: boolean;
}

/** Subscribes at the addon. Returns the listener's number. */
function listen(callback: (...args: never[]) => unknown, to: Subscription, stream: StreamTarget | undefined): number {
  const { native } = Engine.get();
  const { kind } = EVENTS[to.type];
  if (to.hook) return native.addHook(kind, callback, to.hook.address, to.hook.pgd, to.filter);
  if (to.opcodes) {
    const { first, last } = to.opcodes;
    return native.addOpcodes(callback, first, last, to.filter, stream?.batch, stream?.drop ?? false);
  }
  if (isGuestEventType(to.type)) {
    const call = { listenerId: 0 };
    call.listenerId = native.addGuestListener(kind, noteCalls(call, callback), to.filter, to.pgd);
    return call.listenerId;
  }
  return native.addListener(kind, callback, to.filter, stream?.batch, stream?.drop ?? false);
}

function explainCutOff(name: string, isMemoryFull: boolean): Error {
  if (isMemoryFull) return new MemoryLimitError(`${name} ${MEMORY_FULL}; it is removed`);
  return new Error(
    `${name} did not return within ${Engine.get().callbackLimitMs} ms; it was cut off and removed ` +
      "(the limit is callback_limit_ms in pyrebox.conf, or --callback-limit)",
  );
}

/** The registered callbacks of all modules, and what becomes of their failures. There is one: callbackRegistry. */
class CallbackRegistry {
  readonly #byName = new Map<string, RegisteredCallback>();
  readonly #byListener = new Map<number, RegisteredCallback>();
  /** Removed in this turn of the event loop: one may still be running, and throw. */
  readonly #leaving = new Map<number, RegisteredCallback>();
  readonly #moduleNames = new Map<number, string>();
  #isConnected = false;
  #readError: (thrown: unknown) => Error | undefined = () => undefined;

  /** Sets the function that turns text thrown by sandboxed callbacks into an Error. */
  setErrorReader(reader: (thrown: unknown) => Error | undefined): void {
    this.#readError = reader;
  }

  /** Names a module for the reports of errors that its callbacks throw. */
  nameModule(moduleHandle: number, name: string): void {
    this.#moduleNames.set(moduleHandle, name);
  }

  /** Returns whether a callback is still there. */
  has(callback: RegisteredCallback): boolean {
    return this.#byListener.get(callback.listenerId) === callback;
  }

  /** Lists every registered callback. */
  list(): readonly RegisteredCallback[] {
    return [...this.#byListener.values()];
  }

  /**
   * Sets the names of a module's callbacks free for the module's new version, while the callbacks stay. They are called,
   * listed and removed as before.
   *
   * @returns gives those that are still there their names back
   */
  lendNames(moduleHandle: number): () => void {
    const lenders = [...this.#byName.values()].filter((callback) => callback.moduleHandle === moduleHandle);
    lenders.forEach((callback) => this.#freeName(callback));
    return () => {
      for (const callback of lenders.filter((lender) => this.has(lender))) this.#byName.set(callback.name, callback);
    };
  }

  /** Makes a name that no callback has: name itself, or with a number behind it. */
  createName(name: string): string {
    let unique = name;
    for (let number = 1; this.#byName.has(unique); number++) {
      unique = `${name}_${number}`;
    }
    return unique;
  }

  /**
   * Registers a callback for a module.
   *
   * @param to what it listens to: compileOptions()
   * @param name what its name begins with; made up when undefined
   * @param stream takes the events in place of a call for each
   * @throws TypeError when callback is no function; EngineUsageError when there is no machine
   */
  register(
    moduleHandle: number,
    callback: (...args: never[]) => unknown,
    to: Subscription,
    name?: string,
    stream?: StreamTarget,
  ): RegisteredCallback {
    const { type } = to;
    if (typeof callback !== "function") {
      throw new TypeError(`${type} needs a function to call, not ${typeof callback}`);
    }
    this.#connect();
    const listenerId = listen(callback, to, stream);
    const registered: RegisteredCallback = {
      name: this.createName(name ?? `${type.toLowerCase()}_${listenerId}`),
      type,
      moduleHandle,
      listenerId,
      errors: 0,
    };
    this.#byName.set(registered.name, registered);
    this.#byListener.set(listenerId, registered);
    if (isGuestEventType(type)) guestEvents.update(type);
    return registered;
  }

  /** Removes a callback: it is not called again, not even for the event now being delivered. */
  unregister(callback: RegisteredCallback): void {
    Engine.get().native.removeListener(callback.listenerId);
    this.#forget(callback);
    releaseHolds(callback.listenerId);
  }

  /** Removes every callback of a module. */
  unregisterModule(moduleHandle: number): void {
    for (const callback of this.list()) {
      if (callback.moduleHandle === moduleHandle) this.unregister(callback);
    }
  }

  /** Gives the addon the objects that callbacks are called with, once. */
  #connect(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    const createBlock = (pc: bigint, size: number, icount: number) => new TranslationBlock(pc, size, icount);
    const onPromise = (listenerId: number, promise: Promise<unknown>) => {
      const callback = this.#findRunning(listenerId);
      holdGuest(listenerId, promise, (error) => this.#onFailure(callback, error, false));
    };
    const onThrown = (listenerId: number, thrown: unknown, cutOff: boolean) =>
      this.#onFailure(this.#findRunning(listenerId), thrown, cutOff);
    Engine.get().native.setScriptObjects([...getCpus()], createBlock, onThrown, onPromise);
  }

  #findRunning(listenerId: number): RegisteredCallback | undefined {
    return this.#byListener.get(listenerId) ?? this.#leaving.get(listenerId);
  }

  /** The name may have passed to a newer version's callback. */
  #freeName(callback: RegisteredCallback): void {
    if (this.#byName.get(callback.name) === callback) this.#byName.delete(callback.name);
  }

  /** Forgets a callback whose listener is no more. */
  #forget(callback: RegisteredCallback): void {
    const { type, listenerId } = callback;
    this.#freeName(callback);
    this.#byListener.delete(listenerId);
    if (this.#leaving.size === 0) setImmediate(() => this.#leaving.clear());
    this.#leaving.set(listenerId, callback);
    guestEvents.withdrawReplay(listenerId);
    if (isGuestEventType(type)) guestEvents.update(type);
  }

  /** Removes the callback of a guest event that was cut off together with the one in which the event was raised. */
  #removeInner(outerId: number): void {
    const innerId = takeCutOff();
    const inner = innerId === undefined || innerId === outerId ? undefined : this.#byListener.get(innerId);
    if (!inner) return;
    Engine.get().native.removeListener(inner.listenerId);
    this.#onFailure(inner, undefined, true);
  }

  #onFailure(callback: RegisteredCallback | undefined, thrown: unknown, cutOff: boolean): void {
    if (!callback) return;
    if (cutOff) this.#removeInner(callback.listenerId);
    const engine = Engine.get();
    callback.errors++;
    if (cutOff) this.#forget(callback);
    engine.emit("callbackError", {
      callback: callback.name,
      script: this.#moduleNames.get(callback.moduleHandle) ?? `module ${callback.moduleHandle}`,
      error: cutOff ? explainCutOff(callback.name, thrown === true) : this.#asError(thrown),
      count: callback.errors,
      removed: cutOff,
    });
  }

  #asError(thrown: unknown): Error {
    if (isOwnError(thrown)) return thrown;
    // Its own toString() would be the script's code, which may throw, or never return.
    const isObject = (typeof thrown === "object" && thrown !== null) || typeof thrown === "function";
    const shown = isObject ? "a value that cannot be shown as text" : String(thrown);
    return this.#readError(thrown) ?? new Error(`a callback threw ${shown}`);
  }
}

/** The registry of this process, which has one engine. */
export const callbackRegistry = new CallbackRegistry();
