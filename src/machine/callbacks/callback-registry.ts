import { Engine } from "../engine/engine";
import { isOwnError } from "../engine/realm-root";
import { getCpus } from "../state/cpu";
import { ALL_PROCESSES } from "../state/processes";
import { compileFilter } from "./callback-filter";
import { checkOptions } from "./callback-options";
import type { CallbackFunctions, CallbackOptions, CallbackType } from "./callback-types";
import type { EventBatch } from "./event-batch";
import { EVENT_KINDS } from "./event-kinds";
import { isGuestEventType, requestReplay, updateWatched, withdrawReplay } from "./guest-event-source";
import { holdGuest, releaseHolds } from "./guest-holds";
import { noteCalls, takeCutOff } from "./running-call";
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

const byName = new Map<string, RegisteredCallback>();
const byListener = new Map<number, RegisteredCallback>();
/** Removed in this turn of the event loop: one may still be running, and throw. */
const leaving = new Map<number, RegisteredCallback>();
let connected = false;

let readError: (thrown: unknown) => Error | undefined = () => undefined;

/** Sets what makes an error of what is thrown by callbacks that run apart from rebox, and throw text. */
export function setErrorReader(reader: (thrown: unknown) => Error | undefined): void {
  readError = reader;
}

function asError(thrown: unknown): Error {
  if (isOwnError(thrown)) return thrown;
  // Its own toString() would be the script's code, which may throw, or never return.
  const isObject = (typeof thrown === "object" && thrown !== null) || typeof thrown === "function";
  const shown = isObject ? "a value that cannot be shown as text" : String(thrown);
  return readError(thrown) ?? new Error(`a callback threw ${shown}`);
}

/** The name may have passed to a newer version's callback. */
function freeName(callback: RegisteredCallback): void {
  if (byName.get(callback.name) === callback) byName.delete(callback.name);
}

/** What is left to do when a callback's listener is no more. */
function forget(callback: RegisteredCallback): void {
  const { type, listenerId } = callback;
  freeName(callback);
  byListener.delete(listenerId);
  if (leaving.size === 0) setImmediate(() => leaving.clear());
  leaving.set(listenerId, callback);
  withdrawReplay(listenerId);
  if (isGuestEventType(type)) updateWatched(type);
}

function findRunning(listenerId: number): RegisteredCallback | undefined {
  return byListener.get(listenerId) ?? leaving.get(listenerId);
}

/** A guest event's callback takes the callback with it in which the event was raised. */
function removeInner(outerId: number): void {
  const innerId = takeCutOff();
  const inner = innerId === undefined || innerId === outerId ? undefined : byListener.get(innerId);
  if (!inner) return;
  Engine.get().native.removeListener(inner.listenerId);
  onFailure(inner, undefined, true);
}

function onFailure(callback: RegisteredCallback | undefined, thrown: unknown, cutOff: boolean): void {
  if (!callback) {
    return;
  }
  if (cutOff) removeInner(callback.listenerId);
  const engine = Engine.get();
  callback.errors++;
  if (cutOff) {
    forget(callback);
  }
  engine.emit("callbackError", {
    callback: callback.name,
    script: moduleNames.get(callback.moduleHandle) ?? `module ${callback.moduleHandle}`,
    error: cutOff
      ? new Error(
          `${callback.name} did not return within ${engine.callbackLimitMs} ms; it was cut off and removed ` +
            "(the limit is callback_limit_ms in pyrebox.conf, or --callback-limit)",
        )
      : asError(thrown),
    count: callback.errors,
    removed: cutOff,
  });
}

function connect(): void {
  if (!connected) {
    connected = true;
    const createBlock = (pc: bigint, size: number, icount: number) => new TranslationBlock(pc, size, icount);
    const onPromise = (listenerId: number, promise: Promise<unknown>) => {
      const callback = findRunning(listenerId);
      holdGuest(listenerId, promise, (error) => onFailure(callback, error, false));
    };
    const onThrown = (listenerId: number, thrown: unknown, cutOff: boolean) =>
      onFailure(findRunning(listenerId), thrown, cutOff);
    Engine.get().native.setScriptObjects([...getCpus()], createBlock, onThrown, onPromise);
  }
}

/** Where a stream's events go. */
interface StreamTarget {
  readonly batch: EventBatch;
  readonly drop: boolean;
}

function listen(
  type: CallbackType,
  callback: (...args: never[]) => unknown,
  options: CallbackOptions,
  stream?: StreamTarget,
): number {
  const { native } = Engine.get();
  const kind = EVENT_KINDS[type];
  const filter = options.filter && compileFilter(options.filter);
  if (options.addr !== undefined) {
    return native.addHook(kind, callback, BigInt.asUintN(64, options.addr), options.pgd ?? ALL_PROCESSES, filter);
  }
  if (options.startOpcode !== undefined && options.endOpcode !== undefined) {
    return native.addOpcodes(
      callback,
      options.startOpcode,
      options.endOpcode,
      filter,
      stream?.batch,
      stream?.drop ?? false,
    );
  }
  if (isGuestEventType(type)) {
    const call = { listenerId: 0 };
    call.listenerId = native.addGuestListener(kind, noteCalls(call, callback), filter, options.pgd);
    return call.listenerId;
  }
  return native.addListener(kind, callback, filter, stream?.batch, stream?.drop ?? false);
}

const moduleNames = new Map<number, string>();

/** Names a module for the reports of what its callbacks throw. */
export function nameModule(moduleHandle: number, name: string): void {
  moduleNames.set(moduleHandle, name);
}

/** Tells whether a callback is still there. */
export function isRegistered(callback: RegisteredCallback): boolean {
  return byListener.get(callback.listenerId) === callback;
}

/** Lists every registered callback. */
export function allCallbacks(): readonly RegisteredCallback[] {
  return [...byListener.values()];
}

/**
 * Sets the names of a module's callbacks free for the module's new version, while the callbacks stay. They are called,
 * listed and removed as before.
 *
 * @returns gives those that are still there their names back
 */
export function lendNames(moduleHandle: number): () => void {
  const lenders = [...byName.values()].filter((callback) => callback.moduleHandle === moduleHandle);
  lenders.forEach(freeName);
  return () => {
    for (const callback of lenders.filter(isRegistered)) byName.set(callback.name, callback);
  };
}

/** Makes a name that no callback has: name itself, or with a number behind it. */
export function createCallbackName(name: string): string {
  let unique = name;
  for (let number = 1; byName.has(unique); number++) {
    unique = `${name}_${number}`;
  }
  return unique;
}

/**
 * Registers a callback for a module.
 *
 * @returns what was registered
 * @throws TypeError for options that the type does not take
 */
export function registerCallback<Type extends CallbackType>(
  moduleHandle: number,
  type: Type,
  callback: CallbackFunctions[Type],
  options: CallbackOptions,
  stream?: StreamTarget,
): RegisteredCallback {
  if (typeof callback !== "function") {
    throw new TypeError(`${type} needs a function to call, not ${typeof callback}`);
  }
  checkOptions(type, options);
  connect();
  const listenerId = listen(type, callback, options, stream);
  const registered: RegisteredCallback = {
    name: createCallbackName(options.name ?? `${type.toLowerCase()}_${listenerId}`),
    type,
    moduleHandle,
    listenerId,
    errors: 0,
  };
  byName.set(registered.name, registered);
  byListener.set(listenerId, registered);
  if (isGuestEventType(type)) updateWatched(type);
  return registered;
}

/**
 * Calls a callback that was registered with replay for what exists in the guest.
 *
 * @throws what the source of guest events throws; the callback stays
 */
export function replayExisting({ type, listenerId }: RegisteredCallback, { replay, pgd }: CallbackOptions): void {
  if (replay && isGuestEventType(type)) requestReplay({ listenerId, type, pgd });
}

/** Removes a callback: it is not called again, not even for the event now being delivered. */
export function unregisterCallback(callback: RegisteredCallback): void {
  Engine.get().native.removeListener(callback.listenerId);
  forget(callback);
  releaseHolds(callback.listenerId);
}

/** Removes every callback of a module. */
export function unregisterModule(moduleHandle: number): void {
  for (const callback of allCallbacks()) {
    if (callback.moduleHandle === moduleHandle) {
      unregisterCallback(callback);
    }
  }
}
