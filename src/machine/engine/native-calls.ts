import type { NativeGuestTest } from "./native";

/** A test of an argument of a system call: (argument & mask) is value, or with isUnsettled it has not been settled. */
export interface NativeCallTest {
  /** From 0. */
  readonly argument: number;
  readonly mask: bigint;
  readonly value: bigint;
  readonly isUnsettled: boolean;
}

/** Bits: the wishes for the calls of a number. */
export const enum NativeCallWish {
  /** The bytes that its arguments point to. */
  Pieces = 1,
  /** A call of the hook's function, at once. */
  Pass = 2,
  /** It changes what the settled values of its address space stand for. */
  Unsettles = 4,
}

/** An entry for system calls, as the addon journals it. Registers are those of 64 bits. */
export interface NativeCallEntry {
  /** Comes back in each record. */
  readonly entry: number;
  /** Of the arguments. */
  readonly bits: number;
  readonly number: string;
  readonly registers: readonly string[];
  /** Has the address of the argument behind those. */
  readonly lastAt: string | undefined;
  /** Leads to the running task. */
  readonly task: NativeGuestTest | undefined;
  /** In task_struct. */
  readonly tgid: number;
  /** By number: 2 bits for each argument: 0 a value, 1 a text, 2 bytes that the next argument counts, 3 texts. */
  readonly kinds: Uint16Array;
  /** By number: NativeCallWish. */
  readonly wishes: Uint8Array;
  /** Of numbers beyond. */
  readonly otherWish: number;
  /** By number: 0, or one more than the index of the test with which a call is passed. */
  readonly testOf: Uint8Array;
  readonly tests: readonly NativeCallTest[];
}

/** The addon's journals of system calls. */
export interface NativeCallJournals {
  /** Makes a journal. Returns its number. */
  createCallJournal(): number;
  removeCallJournal(journal: number): void;
  /**
   * Has a hook write the calls at its address into a journal, and call its function only for those that are passed, or when
   * there is much to be taken. Returns whether there is such a hook.
   */
  journalCallsAt(listenerId: number, journal: number, entry: NativeCallEntry): boolean;
  /** Takes the records, in their order: see native/addon/call_journal.h. */
  takeCalls(journal: number): Uint8Array;
  /** Has calls with this value no longer passed by a test for unsettled ones, until a call unsettles the address space. */
  settleCalls(journal: number, pgd: bigint, value: bigint): void;
  unsettleCalls(journal: number, pgd: bigint): void;
}
