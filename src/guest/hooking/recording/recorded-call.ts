import type { AddressName } from "../../../systems/guest-system";
import { bitsOf } from "../values/calling-convention";
import type { Abandonment } from "../function-call";
import type { HookedFunction } from "../hooked-function";
import { type FunctionValue, isPointed, type ParameterType, readValue } from "../values/value-types";

/** The head of a record, and the places of its members in bytes: triggers/call_record.h. */
const HEAD = 72;
const PLACES = {
  ...{ began: 8, duration: 16, pgd: 24, returnAddress: 32, stackPointer: 40 },
  ...{ thread: 48, process: 52, depth: 56, left: 60, unread: 62, result: 64 },
} as const;
const RESULT_UNREAD = 1 << 15;
const MARKED_PARAMETERS = 15;
const UNREADABLE = 2;
const LEFT: readonly (Abandonment | undefined)[] = [undefined, "jumped over", "thread ended", "program replaced"];
const NS_PER_MS = 1e6;
const TWO_32 = 2 ** 32;

/** A function whose calls are recorded: with its address space, 0 in the kernel, and the order in which a record has its pieces. */
export interface RecordedFunction {
  readonly called: HookedFunction;
  readonly space: bigint;
  /** Parameters whose bytes are read when the call begins, and at its end. */
  readonly atBegin: readonly number[];
  readonly atEnd: readonly number[];
}

/** Records that were taken together. */
export interface RecordBatch {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** When the clock of the records was 0, as performance.now(). */
  readonly clockBeganMs: number;
  decodeText(bytes: Uint8Array): string;
  findCaller(recorded: RecordedFunction, returnAddress: AddressKey): AddressName | undefined;
}

/** An address to look things up by: a number where that is exact, which nearly all are, since a bigint has to be made for each look. */
export type AddressKey = number | bigint;

/** Reads an address as a key. Those of the upper half are below zero. */
export function keyOf(view: DataView, at: number): AddressKey {
  const key = view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true);
  return Number.isSafeInteger(key) ? key : view.getBigUint64(at, true);
}

/** Works out the order of a record's pieces. */
export function planPieces({ parameters, filled }: HookedFunction): Pick<RecordedFunction, "atBegin" | "atEnd"> {
  const pointed = parameters.flatMap((type, index) => (isPointed(type) ? [index] : []));
  const isAtEnd = (index: number): boolean => isReadAtEnd(parameters[index]!, filled.includes(index));
  return { atBegin: pointed.filter((index) => !isAtEnd(index)), atEnd: pointed.filter(isAtEnd) };
}

/** Reports whether what a parameter points to is read when the call ends. */
export function isReadAtEnd(type: ParameterType, isFilled: boolean): boolean {
  return isFilled || (typeof type === "object" && type.bytes === "result");
}

/** One call of a hooked function that was recorded natively; it has ended. What it says is what was read at that time. */
export class RecordedCall {
  readonly #batch: RecordBatch;
  readonly #at: number;
  readonly #recorded: RecordedFunction;

  /** @param at where its record begins */
  constructor(batch: RecordBatch, at: number, recorded: RecordedFunction) {
    this.#batch = batch;
    this.#at = at;
    this.#recorded = recorded;
  }

  /** The name of the module that the function belongs to. */
  get module(): string {
    return this.#recorded.called.module;
  }

  /** The function's name; "+0x1234" for one that was hooked by its place in the module. */
  get name(): string {
    return this.#recorded.called.name;
  }

  /** The address of the function's first instruction. */
  get address(): bigint {
    return this.#recorded.called.address;
  }

  /** The number of the process that called; 0 when the kernel does not say. */
  get pid(): number {
    return this.#batch.view.getInt32(this.#at + PLACES.process, true);
  }

  /** The number of the thread that called; 0 when the kernel does not say. */
  get tid(): number {
    return this.#batch.view.getInt32(this.#at + PLACES.thread, true);
  }

  /** The address space that it was made in. */
  get pgd(): bigint {
    return this.#word(PLACES.pgd);
  }

  /** The address that it was to return to. */
  get returnAddress(): bigint {
    return this.#word(PLACES.returnAddress);
  }

  /** The stack pointer at the function's first instruction. */
  get stackPointer(): bigint {
    return this.#word(PLACES.stackPointer);
  }

  /** How many recorded calls of this thread had begun and not ended: 0 for the outermost. */
  get depth(): number {
    return this.#batch.view.getUint32(this.#at + PLACES.depth, true);
  }

  /** The way in which the function was left without returning; undefined when it returned. */
  get abandoned(): Abandonment | undefined {
    return LEFT[this.#batch.view.getUint8(this.#at + PLACES.left)];
  }

  /** When it began, as performance.now(), unless the machine was paused since then: the clock of records stands still in the meantime. */
  get beganMs(): number {
    return this.#batch.clockBeganMs + this.#milliseconds(PLACES.began);
  }

  /** How long it took, in milliseconds, without the time in which the machine was paused. */
  get durationMs(): number {
    return this.#milliseconds(PLACES.duration);
  }

  /** The function that called, as it was found when it first did so; undefined outside of all modules. */
  get caller(): AddressName | undefined {
    return this.#batch.findCaller(this.#recorded, keyOf(this.#batch.view, this.#at + PLACES.returnAddress));
  }

  /**
   * The values of the parameters: of those that were described, else of the first six, as addresses. Texts and bytes were read when the
   * call began, or for those that it fills when it ended; undefined when they could not be, and null for a null pointer.
   */
  get args(): readonly FunctionValue[] {
    const { called, atBegin, atEnd } = this.#recorded;
    const { view } = this.#batch;
    const { parameters } = called;
    const bits = bitsOf(called.convention);
    const unread = view.getUint16(this.#at + PLACES.unread, true);
    const values: FunctionValue[] = [];
    for (let index = 0; index < parameters.length; index++) {
      const isUnread = unread !== 0 && this.#isUnread(unread, index);
      values.push(isUnread ? undefined : readValue(view, this.#placeOf(index), parameters[index]!, bits));
    }
    if (atBegin.length === 0 && atEnd.length === 0) return values;
    let at = this.#placeOf(parameters.length);
    for (const index of atBegin) at = this.#takePiece(at, values, index);
    const isReturned = view.getUint8(this.#at + PLACES.left) === 0;
    for (const index of atEnd) {
      if (isReturned) at = this.#takePiece(at, values, index);
      else if (values[index] !== null) values[index] = values[index] === 0n ? null : undefined;
    }
    return values;
  }

  /** The bits of the parameters, of which those beyond their types mean nothing; undefined where memory could not be read. */
  get rawArgs(): readonly (bigint | undefined)[] {
    const unread = this.#batch.view.getUint16(this.#at + PLACES.unread, true);
    return this.#recorded.called.parameters.map((_, index) =>
      this.#isUnread(unread, index) ? undefined : this.#batch.view.getBigUint64(this.#placeOf(index), true),
    );
  }

  /** The value that the function returned; undefined when it was left, for "void", and for "float" and "double" in programs of 32 bits. */
  get result(): FunctionValue {
    const { view } = this.#batch;
    const { called, atBegin, atEnd } = this.#recorded;
    const isUnread = (view.getUint16(this.#at + PLACES.unread, true) & RESULT_UNREAD) !== 0;
    if (isUnread || view.getUint8(this.#at + PLACES.left) !== 0) return undefined;
    const value = readValue(view, this.#at + PLACES.result, called.returns, bitsOf(called.convention));
    if (called.returns !== "text") return value;
    let at = this.#placeOf(called.parameters.length);
    for (let count = atBegin.length + atEnd.length; count > 0; count--) at += 4 + view.getUint16(at + 2, true);
    const values: FunctionValue[] = [value];
    this.#takePiece(at, values, 0, true);
    return values[0];
  }

  #word(place: number): bigint {
    return this.#batch.view.getBigUint64(this.#at + place, true);
  }

  #milliseconds(place: number): number {
    const { view } = this.#batch;
    const at = this.#at + place;
    return (view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true)) / NS_PER_MS;
  }

  #placeOf(index: number): number {
    return this.#at + HEAD + 8 * index;
  }

  #isUnread(unread: number, index: number): boolean {
    return index < MARKED_PARAMETERS && (unread & (1 << index)) !== 0;
  }

  /** Puts what a value points to in its place. @returns where the next piece is */
  #takePiece(at: number, values: FunctionValue[], index: number, isText = this.#isText(index)): number {
    const { view, bytes } = this.#batch;
    const end = at + 4 + view.getUint16(at + 2, true);
    const address = values[index];
    if (address === 0n) values[index] = null;
    else if (address === undefined || view.getUint16(at, true) === UNREADABLE) values[index] = undefined;
    else {
      const piece = bytes.subarray(at + 4, end);
      values[index] = isText ? this.#batch.decodeText(piece) : piece;
    }
    return end;
  }

  #isText(index: number): boolean {
    return this.#recorded.called.parameters[index] === "text";
  }
}
