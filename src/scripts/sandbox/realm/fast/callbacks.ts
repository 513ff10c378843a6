import { encodeMessage } from "../../message-codec";
import { copyColumn, mark, readTriggerBytes, register } from "../host-access";
import { ask, openAnswer } from "../messages";
import { defineClass, Remote } from "../remote";
import { callHandler, createListener } from "./listeners";
const WIDE = ["pc", "pgd", "address", "physical", "data", "number"] as const;
const NARROW = ["cpu", "size"] as const;

/** A batch of events in columns; see src/machine/callbacks/event-batch.ts. */
export class EventBatch {
  readonly cpu!: Uint32Array;
  readonly size!: Uint32Array;
  readonly pc!: BigUint64Array;
  readonly pgd!: BigUint64Array;
  readonly address!: BigUint64Array;
  readonly physical!: BigUint64Array;
  readonly data!: BigUint64Array;
  readonly number!: BigUint64Array;
  /** The 64-bit columns as halves of 32 bits: the same memory. */
  readonly words: Readonly<Record<(typeof WIDE)[number], Uint32Array>>;
  length = 0;
  dropped = 0;

  constructor(
    readonly capacity: number,
    lengths: Readonly<Record<string, number>>,
  ) {
    for (const name of WIDE) Object.assign(this, { [name]: new BigUint64Array(lengths[name] ?? 0) });
    for (const name of NARROW) Object.assign(this, { [name]: new Uint32Array(lengths[name] ?? 0) });
    const halves = (column: BigUint64Array) => new Uint32Array(column.buffer);
    this.words = {
      pc: halves(this.pc),
      pgd: halves(this.pgd),
      address: halves(this.address),
      physical: halves(this.physical),
      data: halves(this.data),
      number: halves(this.number),
    };
  }
}

type Column = BigUint64Array | Uint32Array;

/**
 * Creates what the engine calls when a batch is to be read: the batch is copied, since the engine writes its own while
 * a script could take this one's memory away.
 *
 * @param batch the script's
 * @param call calls the script's handler
 */
function createStreamListener(batch: EventBatch, call: () => unknown): (foreign: never) => unknown {
  const { cpu, size, pc, pgd, address, physical, data, number } = batch;
  const copy = (into: Column, foreign: Column, count: number) => {
    if (into.length > 0) copyColumn(into, foreign, count);
  };
  // Written out: see host-access.ts about what belongs to rebox.
  return (foreign: EventBatch) => {
    mark();
    const count = foreign.length;
    copy(cpu, foreign.cpu, count);
    copy(size, foreign.size, count);
    copy(pc, foreign.pc, count);
    copy(pgd, foreign.pgd, count);
    copy(address, foreign.address, count);
    copy(physical, foreign.physical, count);
    copy(data, foreign.data, count);
    copy(number, foreign.number, count);
    batch.length = count;
    batch.dropped = foreign.dropped;
    return call();
  };
}

type Callback = (...args: unknown[]) => unknown;

/**
 * A script's callbacks; src/machine/callbacks/callback-manager.ts says what its methods do. rebox keeps the list; the methods
 * that take no function follow from the operations.
 */
export class CallbackManager extends Remote {
  readonly #moduleHandle: number;

  constructor(moduleHandle: number) {
    super([ask("callbacks.create", moduleHandle)]);
    this.#moduleHandle = moduleHandle;
  }

  getModuleHandle(): number {
    return this.#moduleHandle;
  }

  addCallback(type: string, callback: Callback, options: object = {}): string {
    if (typeof callback !== "function") throw new TypeError(`${type} needs a function to call, not ${typeof callback}`);
    const message = encodeMessage(["callback", Remote.keyOf(this)[0], type, options]);
    return openAnswer(register(message, createListener(type, callback))) as string;
  }

  getTriggerVar(callbackName: string, variable: string): unknown {
    return getTriggerVar(this, String(callbackName), String(variable));
  }

  addStream(type: string, handler: (batch: object) => unknown, options: object = {}): string {
    if (typeof handler !== "function") throw new TypeError(`a stream needs a function to call, not ${typeof handler}`);
    const columns = ask("callbacks.describeBatch", type, options) as {
      capacity: number;
      lengths: Record<string, number>;
    };
    const batch = new EventBatch(columns.capacity, columns.lengths);
    const listener = createStreamListener(batch, () => callHandler(handler, batch));
    return openAnswer(register(encodeMessage(["stream", Remote.keyOf(this)[0], type, options]), listener)) as string;
  }
}

/** What triggers write down is much, and taken often: it crosses as bytes, everything else as a message. */
function getTriggerVar(manager: CallbackManager, callbackName: string, variable: string): unknown {
  const id = Remote.keyOf(manager)[0] as number;
  return readTriggerBytes(id, callbackName, variable) ?? ask("callbacks.getTriggerVar", id, callbackName, variable);
}

defineClass("CallbackManager", CallbackManager as never);
