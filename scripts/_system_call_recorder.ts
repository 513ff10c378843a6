/** Takes what triggers/trigger_system_call_record.cc writes down at one entry for system calls; for syscall_trace. */
import { CallbackManager, type RegisterName, type SystemCallEntry } from "rebox";
import { escape, hex, type Piece } from "./_system_call_arguments";

/** By their numbers in qemu_glue.h (register_num_t); those of 32 bits are the lower half. */
const REGISTERS: readonly RegisterName[] = [
  ...["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"],
  ...["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"],
] as RegisterName[];
const ARGUMENTS = 6;
/** What a record begins with: size 4, number 4, time 8, pgd 8, and the arguments. */
const HEADER = 24 + ARGUMENTS * 8;
const UNREADABLE = 255;

enum Form {
  Whole,
  Cut,
  Address,
  More,
}

/** What is done with the calls of a number; as the trigger has it. */
export enum Wish {
  Count,
  Record,
  Pass,
}

/** One call, as it was made. */
export interface CallRecord {
  readonly bits: 32 | 64;
  readonly number: number;
  /** In nanoseconds, of a clock that all recorders share. */
  readonly time: bigint;
  readonly pgd: bigint;
  readonly values: readonly bigint[];
  /** What the arguments point to, for those whose kind is not Value; undefined for what could not be read. */
  readonly pieces: readonly (readonly Piece[] | undefined)[];
}

/** An entry for system calls at which they are written down. */
export class SystemCallRecorder {
  /** Whether a program has ever come this way. */
  isUsed = false;
  readonly #name: string;

  /**
   * @param kinds by number: 2 bits for each argument, of ArgumentKind
   * @param onPassed is called when something has to be taken, while the guest stands still
   */
  constructor(
    private readonly callbacks: CallbackManager,
    private readonly entry: SystemCallEntry,
    private readonly kinds: ReadonlyMap<number, number>,
    onPassed: () => void,
  ) {
    const { instruction, bits, address, sixthAt } = entry;
    this.#name = `enter_${instruction.replace(" ", "_")}_${bits}`;
    const onCall = (): void => {
      this.isUsed = true;
      onPassed();
    };
    callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, onCall, { name: this.#name, addr: address });
    callbacks.addTrigger(this.#name, "triggers/trigger_system_call_record");
    const set = (name: string, value: number | Uint8Array) => callbacks.setTriggerVar(this.#name, name, value);
    set("bits", bits);
    set("registers", Uint8Array.from(entry.arguments, findRegister));
    if (sixthAt !== undefined) set("sixth_at", findRegister(sixthAt));
    const table = new Uint8Array(2 * (Math.max(-1, ...kinds.keys()) + 1));
    for (const [number, kind] of kinds) table.set([kind & 0xff, kind >> 8], 2 * number);
    set("kinds", table);
  }

  /** Says what is done with calls, by their number. @param others for numbers that the table does not have */
  choose(table: ReadonlyMap<number, Wish>, others: Wish): void {
    const wanted = new Uint8Array(Math.max(-1, ...table.keys()) + 1).fill(others);
    for (const [number, wish] of table) wanted[number] = wish;
    this.callbacks.setTriggerVar(this.#name, "wanted", wanted);
    this.callbacks.setTriggerVar(this.#name, "others", others);
    this.callbacks.callTriggerFunction(this.#name, "renew");
  }

  /** Takes what was written down since the last time. */
  take(): CallRecord[] {
    const bytes = readTriggerBytes(this.callbacks, this.#name, "take", "records");
    const records: CallRecord[] = [];
    for (let at = 0; at < bytes.byteLength; at += bytes.getUint32(at, true)) records.push(this.#parse(bytes, at));
    return records;
  }

  /** Tells how often each call was made, by its number. */
  count(): Map<number, number> {
    const bytes = readTriggerBytes(this.callbacks, this.#name, "count", "counts");
    const counts = new Map<number, number>();
    for (let at = 0; at < bytes.byteLength; at += 8) {
      const count = Number(bytes.getBigUint64(at, true));
      if (count > 0) counts.set(at / 8, count);
    }
    return counts;
  }

  #parse(bytes: DataView, begin: number): CallRecord {
    const number = bytes.getUint32(begin + 4, true);
    const values: bigint[] = [];
    for (let at = begin + 24; at < begin + HEADER; at += 8) values.push(bytes.getBigUint64(at, true));
    const pieces = readPieces(bytes, begin + HEADER, this.kinds.get(number) ?? 0);
    const pgd = bytes.getBigUint64(begin + 16, true);
    return { bits: this.entry.bits, number, time: bytes.getBigUint64(begin + 8, true), pgd, values, pieces };
  }
}

/**
 * Reads what a record has of what its arguments point to.
 *
 * @param begin where that begins
 * @param kinds ArgumentKind in 2 bits for each argument
 * @returns by argument; undefined for a value, and for what could not be read
 */
export function readPieces(bytes: DataView, begin: number, kinds: number): (Piece[] | undefined)[] {
  const pieces: (Piece[] | undefined)[] = [];
  let at = begin;
  for (let left = kinds, index = 0; left !== 0; left >>= 2, index++) {
    if ((left & 3) === 0) continue;
    let count = bytes.getUint8(at++);
    if (count === UNREADABLE) continue;
    const list: Piece[] = (pieces[index] = []);
    for (; count > 0; count--) {
      const size = bytes.getUint8(at);
      list.push(showPiece(bytes, at + 2, size, bytes.getUint8(at + 1)));
      at += 2 + size;
    }
  }
  return pieces;
}

/** Calls a function of a trigger and reads the variable that it sets. */
export function readTriggerBytes(callbacks: CallbackManager, name: string, call: string, variable: string): DataView {
  callbacks.callTriggerFunction(name, call);
  const bytes = callbacks.getTriggerVar(name, variable) as Uint8Array;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function readText(bytes: DataView, at: number, size: number): string {
  return String.fromCharCode(...new Uint8Array(bytes.buffer, bytes.byteOffset + at, size));
}

function findRegister(name: RegisterName): number {
  return REGISTERS.indexOf(name.replace(/^E/, "R") as RegisterName);
}

function showPiece(bytes: DataView, at: number, size: number, form: Form): Piece {
  if (form === Form.More) return "...";
  if (form === Form.Address) return hex(bytes.getBigUint64(at, true));
  return `"${escape(readText(bytes, at, size))}"${form === Form.Cut ? "..." : ""}`;
}
