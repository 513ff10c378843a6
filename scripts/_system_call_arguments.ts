/** Shows the arguments of system calls by the types and names that the kernel's source gives them; for syscall_trace. */
import type { SystemCallParameter } from "rebox";

/** What of an argument is written down when the call is made; the numbers are those of triggers/trigger_system_call_record.cc. */
export enum ArgumentKind {
  Value,
  Text,
  Bytes,
  Texts,
}

/** A part of what an argument points to: "..." marks what goes on, and an address stands for what could not be read. */
export type Piece = string;

/** Shows one argument. Pieces are those that it points to; undefined when that could not be read. */
export type Show = (value: bigint, pieces: readonly Piece[] | undefined) => string;

const SIGNED_32 = new Set([
  "int",
  "pid_t",
  "key_t",
  "timer_t",
  "mqd_t",
  "clockid_t",
  "const clockid_t",
  "__s32",
  "s32",
]);
const UNSIGNED_32 = new Set([
  "unsigned int",
  "unsigned",
  "u32",
  "__u32",
  "uid_t",
  "gid_t",
  "qid_t",
  "old_uid_t",
  "old_gid_t",
]);
const SIGNED = new Set(["long", "loff_t", "off_t", "long int"]);
/** What is made of single bits, or of numbers that headers give in hexadecimal. */
const OF_BITS = /flag|mask|prot|cmd|option|how/;

/** Decides by its type what of a parameter has to be written down. */
export function chooseKind({ type }: SystemCallParameter, next: SystemCallParameter | undefined): ArgumentKind {
  if (type === "const char *") return next?.type === "size_t" ? ArgumentKind.Bytes : ArgumentKind.Text;
  return type === "const char *const *" ? ArgumentKind.Texts : ArgumentKind.Value;
}

/** Decides by type and name, in the words of the kernel's source, how a parameter is shown. */
export function createShow({ type, name }: SystemCallParameter, kind: ArgumentKind, bits: 32 | 64): Show {
  const showValue = ((): Show => {
    if (kind === ArgumentKind.Texts) return showPointed((pieces) => `[${pieces.join(", ")}]`);
    if (kind !== ArgumentKind.Value) return showPointed((pieces) => pieces.join(""));
    if (type.endsWith("*")) return (value) => (value === 0n ? "NULL" : hex(value));
    if (type === "umode_t") return (value) => `0${BigInt.asUintN(16, value).toString(8)}`;
    const is32 = SIGNED_32.has(type) || UNSIGNED_32.has(type);
    if (OF_BITS.test(name)) return is32 ? (value) => hex(BigInt.asUintN(32, value)) : hex;
    if (SIGNED_32.has(type)) return (value) => String(Number(BigInt.asIntN(32, value)));
    if (UNSIGNED_32.has(type)) return (value) => String(Number(BigInt.asUintN(32, value)));
    if (SIGNED.has(type)) return (value) => String(BigInt.asIntN(bits, value));
    return type === "size_t" ? String : hex;
  })();
  return (value, pieces) => `${name}=${showValue(value, pieces)}`;
}

export const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** What a program gives may hold anything, also codes that a terminal would obey. */
export function escape(text: string): string {
  return text.replace(/[^\x20-\x7e]|["\\]/g, (character) => {
    if (character === "\n") return "\\n";
    const code = character.charCodeAt(0);
    return code === 0x22 || code === 0x5c ? `\\${character}` : `\\x${code.toString(16).padStart(2, "0")}`;
  });
}

function showPointed(show: (pieces: readonly Piece[]) => string): Show {
  return (value, pieces) => (value === 0n ? "NULL" : pieces === undefined ? hex(value) : show(pieces));
}
