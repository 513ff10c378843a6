import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import { compilePath, type GuestCondition } from "../../machine/callbacks/guest-condition";
import { Engine } from "../../machine/engine/engine";
import { type NativeCallTest, NativeCallWish } from "../../machine/engine/native-calls";
import type { Cpu, RegisterName } from "../../machine/state/cpu";
import { CurrentTask } from "../events/current-task";
import { findGuest } from "../guest";
import type { SystemCallEntry } from "../system-calls";

/** The head of a record, and the places of its members in bytes: native/addon/call_journal.h. */
const HEAD = 80;
const PLACES = { entry: 4, passed: 6, number: 8, pid: 12, timeMs: 16, pgd: 24, values: 32 } as const;

/** The part of a CallbackManager that a journal needs. */
export type JournalCallbacks = Pick<CallbackManager, "addCallback" | "setCondition" | "setCallEntry">;

/**
 * Chooses calls that a function is called for at once, before the kernel carries them out: all; those with an argument that has
 * these bits of a mask; those with an argument that has not been settled.
 */
export type CallChoice =
  | "all"
  | { readonly argument: number; readonly mask: bigint; readonly value: bigint }
  | { readonly argument: number; readonly isUnsettled: true };

/** The calls of a number, as they are written down. */
export interface JournaledCall {
  /** Of each argument what it points to, in 2 bits: 0 a value, 1 a text, 2 bytes that the next argument counts, 3 texts. */
  readonly kinds: number;
  /** Whether what the arguments point to is written down. */
  readonly hasPieces: boolean;
  /** The calls that are passed on at once; none without it. */
  readonly passed?: CallChoice | undefined;
  /** After such a call the settled values of its address space may stand for something else. */
  readonly isUnsettling?: boolean;
}

/** The record of one call. It is valid until the next ones are taken. */
export interface JournalRecord {
  /** Where it is in the bytes, and where its pieces begin: see native/addon/call_journal.h. */
  readonly bytes: DataView;
  readonly piecesAt: number;
  /** The index of the entry by which it came. */
  readonly entry: number;
  readonly number: number;
  /** Of the process that made it; 0 when the kernel does not say. */
  readonly pid: number;
  readonly pgd: bigint;
  /** CLOCK_MONOTONIC, in milliseconds. */
  readonly timeMs: number;
  /** Whether the function is called for it. */
  readonly isPassed: boolean;
  /** The first arguments, at most 6. */
  readValues(count: number): bigint[];
}

/**
 * Journals system calls natively, and has many of them taken at a time: a call into JavaScript between two turns of the guest takes
 * longer than all else.
 */
export class CallJournal {
  readonly #id = Engine.get().native.createCallJournal();

  /**
   * Journals the calls that come by an entry, from the next one on.
   *
   * @param index of the entry, for its records
   * @param calls by number
   * @param others the calls of all other numbers
   * @param onPassed called for a call that is passed, whose record is then the last, and when there is much to be taken
   * @param condition holds for calls that are journaled
   */
  hook(
    callbacks: JournalCallbacks,
    entry: SystemCallEntry,
    index: number,
    calls: ReadonlyMap<number, JournaledCall>,
    others: JournaledCall,
    onPassed: (cpu: Cpu) => void,
    condition?: GuestCondition,
  ): void {
    const name = callbacks.addCallback("INSN_BEGIN_CB", (_index, cpu) => onPassed(cpu), { addr: entry.address });
    const guest = findGuest();
    const pointerSize = guest?.kernel.bits === 32 ? 4 : 8;
    if (condition !== undefined) callbacks.setCondition(name, condition, pointerSize);
    const way = guest && new CurrentTask(guest).entering;
    callbacks.setCallEntry(name, this.#id, {
      ...{ entry: index, bits: entry.bits, number: widen(entry.number), registers: entry.arguments.map(widen) },
      lastAt: entry.sixthAt && widen(entry.sixthAt),
      task: way && compilePath(way, pointerSize),
      tgid: guest?.tasks.offsets.tgid ?? 0,
      otherWish: wishOf(others),
      ...compileCalls(calls, others),
    });
  }

  /** Takes what was written down since the last time, in its order. */
  *take(): Iterable<JournalRecord> {
    const taken = Engine.get().native.takeCalls(this.#id);
    const bytes = new DataView(taken.buffer, taken.byteOffset, taken.byteLength);
    for (let at = 0; at < bytes.byteLength; at += bytes.getUint32(at, true)) yield readRecord(bytes, at);
  }

  /** Has no call with this value in this address space passed that is chosen as unsettled, until one unsettles it. */
  settle(pgd: bigint, value: bigint): void {
    Engine.get().native.settleCalls(this.#id, pgd, value);
  }

  /** Forgets what was settled in an address space. */
  unsettle(pgd: bigint): void {
    Engine.get().native.unsettleCalls(this.#id, pgd);
  }

  /** Gives it up: what was not taken is gone. */
  dispose(): void {
    Engine.get().native.removeCallJournal(this.#id);
  }
}

function readRecord(bytes: DataView, at: number): JournalRecord {
  return {
    bytes,
    piecesAt: at + HEAD,
    entry: bytes.getUint16(at + PLACES.entry, true),
    number: bytes.getUint32(at + PLACES.number, true),
    pid: bytes.getInt32(at + PLACES.pid, true),
    pgd: bytes.getBigUint64(at + PLACES.pgd, true),
    timeMs: bytes.getFloat64(at + PLACES.timeMs, true),
    isPassed: bytes.getUint16(at + PLACES.passed, true) !== 0,
    readValues(count: number): bigint[] {
      const values: bigint[] = [];
      for (let index = 0; index < Math.min(count, 6); index++) {
        values.push(bytes.getBigUint64(at + PLACES.values + 8 * index, true));
      }
      return values;
    },
  };
}

function wishOf({ hasPieces, passed, isUnsettling = false }: JournaledCall): number {
  const wishes = [hasPieces && NativeCallWish.Pieces, passed === "all" && NativeCallWish.Pass];
  return [...wishes, isUnsettling && NativeCallWish.Unsettles].reduce<number>((all, wish) => all | (wish || 0), 0);
}

function compileCalls(calls: ReadonlyMap<number, JournaledCall>, others: JournaledCall) {
  const size = Math.max(-1, ...calls.keys()) + 1;
  const [kinds, wishes, testOf] = [
    new Uint16Array(size),
    new Uint8Array(size).fill(wishOf(others)),
    new Uint8Array(size),
  ];
  const tests: NativeCallTest[] = [];
  for (const [number, call] of calls) {
    const { passed } = call;
    kinds[number] = call.kinds;
    wishes[number] = wishOf(call);
    if (typeof passed !== "object") continue;
    testOf[number] = tests.push({ mask: 0n, value: 0n, isUnsettled: false, ...passed });
  }
  return { kinds, wishes, testOf, tests };
}

/** The register of 64 bits that has one of 32. */
function widen(name: RegisterName): string {
  return name.replace(/^E/, "R");
}
