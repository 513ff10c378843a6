import { Engine } from "../engine/engine";
import { EventKind } from "../engine/native";
import { isOwnError } from "../engine/realm-root";
import { getCpus } from "../guest/cpu";
import { ALL_PROCESSES } from "../guest/processes";
import { compileFilter } from "./callback-filter";
import type { CallbackFunctions, CallbackOptions, CallbackType } from "./callback-types";
import type { EventBatch } from "./event-batch";
import { holdGuest, releaseHolds } from "./guest-holds";
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

function onFailure(listenerId: number, thrown: unknown, cutOff: boolean): void {
  const callback = byListener.get(listenerId);
  if (!callback) {
    return;
  }
  const engine = Engine.get();
  callback.errors++;
  if (cutOff) {
    freeName(callback);
    byListener.delete(listenerId);
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
    const onPromise = (listenerId: number, promise: Promise<unknown>) =>
      holdGuest(listenerId, promise, (error) => onFailure(listenerId, error, false));
    Engine.get().native.setScriptObjects([...getCpus()], createBlock, onFailure, onPromise);
  }
}

const EVENT_KINDS: Record<CallbackType, EventKind> = {
  BLOCK_BEGIN_CB: EventKind.BlockBegin,
  BLOCK_END_CB: EventKind.BlockEnd,
  INSN_BEGIN_CB: EventKind.InsnBegin,
  INSN_END_CB: EventKind.InsnEnd,
  MEM_READ_CB: EventKind.MemRead,
  MEM_WRITE_CB: EventKind.MemWrite,
  KEYSTROKE_CB: EventKind.Keystroke,
  NIC_SEND_CB: EventKind.NicSend,
  NIC_REC_CB: EventKind.NicRec,
  OPCODE_RANGE_CB: EventKind.OpcodeRange,
  TLB_EXEC_CB: EventKind.TlbExec,
  CONTEXTCHANGE_CB: EventKind.ContextChange,
};

const UNFILTERED: readonly CallbackType[] = ["KEYSTROKE_CB", "NIC_SEND_CB", "NIC_REC_CB"];
const TAKES_ADDRESS: readonly CallbackType[] = ["BLOCK_BEGIN_CB", "INSN_BEGIN_CB"];

function isOpcode(value: number | undefined): value is number {
  return Number.isInteger(value) && ((value! >= 0 && value! <= 0xff) || (value! >= 0x0f00 && value! <= 0x0fff));
}

function checkOptions(type: CallbackType, options: CallbackOptions): void {
  if (!Object.hasOwn(EVENT_KINDS, type)) {
    throw new TypeError(
      `there is no callback type ${String(type)}: it is one of ${Object.keys(EVENT_KINDS).join(", ")}`,
    );
  }
  if (!TAKES_ADDRESS.includes(type) && (options.addr !== undefined || options.pgd !== undefined)) {
    throw new TypeError(`${type} takes no addr and no pgd`);
  }
  if (options.filter && UNFILTERED.includes(type)) {
    throw new TypeError(`${type} takes no filter`);
  }
  if (options.addr === undefined && options.pgd !== undefined) {
    throw new TypeError("pgd narrows an addr down: give both, or monitor the process with startMonitoringProcess()");
  }
  for (const key of ["addr", "pgd"] as const) {
    if (options[key] !== undefined && typeof options[key] !== "bigint") {
      throw new TypeError(`${key} is a ${typeof options[key]}: addresses are bigint, such as 0xffffffff81000000n`);
    }
  }
  const { startOpcode, endOpcode } = options;
  if (type !== "OPCODE_RANGE_CB") {
    if (startOpcode !== undefined || endOpcode !== undefined) {
      throw new TypeError(`${type} takes no startOpcode and no endOpcode`);
    }
  } else if (!isOpcode(startOpcode) || !isOpcode(endOpcode) || startOpcode > endOpcode) {
    throw new RangeError(
      `startOpcode ${startOpcode} and endOpcode ${endOpcode}: opcodes are 0 to 0xff or 0x0f00 to 0x0fff, in this order`,
    );
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
  return registered;
}

/** Removes a callback: it is not called again, not even for the event now being delivered. */
export function unregisterCallback(callback: RegisteredCallback): void {
  freeName(callback);
  byListener.delete(callback.listenerId);
  Engine.get().native.removeListener(callback.listenerId);
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
