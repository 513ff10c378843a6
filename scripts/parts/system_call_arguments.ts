/** Shows the arguments of system calls by the types and names that the kernel's source gives them; for syscall_trace. */
import { readVa, type SystemCallParameter } from "rebox";

const LONGEST_TEXT = 200;
const MOST_BYTES = 32;
const MOST_TEXTS = 16;
const PAGE = 4096;

/** Shows one argument. */
export type Show = (value: bigint, values: readonly bigint[], pgd: bigint) => string;

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

/** Decides by type and name, in the words of the kernel's source, how a parameter is shown. */
export function createShow(
  { type, name }: SystemCallParameter,
  index: number,
  all: readonly SystemCallParameter[],
  bits: 32 | 64,
): Show {
  const showValue = ((): Show => {
    if (type === "const char *") return all[index + 1]?.type === "size_t" ? showBytes(index + 1) : showText;
    if (type === "const char *const *") return showTexts(bits);
    if (type.endsWith("*")) return (value) => (value === 0n ? "NULL" : hex(value));
    if (type === "umode_t") return (value) => `0${BigInt.asUintN(16, value).toString(8)}`;
    const is32 = SIGNED_32.has(type) || UNSIGNED_32.has(type);
    if (OF_BITS.test(name)) return is32 ? (value) => hex(BigInt.asUintN(32, value)) : hex;
    if (SIGNED_32.has(type)) return (value) => String(Number(BigInt.asIntN(32, value)));
    if (UNSIGNED_32.has(type)) return (value) => String(Number(BigInt.asUintN(32, value)));
    if (SIGNED.has(type)) return (value) => String(BigInt.asIntN(bits, value));
    return type === "size_t" ? String : hex;
  })();
  return (value, values, pgd) => `${name}=${showValue(value, values, pgd)}`;
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

/** Reads what is mapped, at most size bytes, a page at a time; undefined when there is nothing. */
function read(pgd: bigint, address: bigint, size: number): Buffer | undefined {
  try {
    const first = Math.min(size, PAGE - Number(address & 0xfffn));
    const bytes = readVa(pgd, address, first);
    if (first === size || bytes.includes(0)) return bytes;
    return Buffer.concat([bytes, read(pgd, address + BigInt(first), size - first) ?? Buffer.alloc(0)]);
  } catch {
    // Not mapped, or not in memory at the moment: the kernel will see to it.
    return undefined;
  }
}

const showText: Show = (value, _values, pgd) => {
  if (value === 0n) return "NULL";
  const bytes = read(pgd, value, LONGEST_TEXT);
  if (bytes === undefined) return hex(value);
  const end = bytes.indexOf(0);
  return `"${escape(bytes.toString("latin1", 0, end < 0 ? bytes.length : end))}"${end < 0 ? "..." : ""}`;
};

/** Bytes that the parameter of this index counts. */
function showBytes(sizeIndex: number): Show {
  return (value, values, pgd) => {
    const size = values[sizeIndex] ?? 0n;
    const bytes = value === 0n ? undefined : readBytes(pgd, value, Number(size < MOST_BYTES ? size : MOST_BYTES));
    if (bytes === undefined) return value === 0n ? "NULL" : hex(value);
    return `"${escape(bytes.toString("latin1"))}"${size > MOST_BYTES ? "..." : ""}`;
  };
}

function readBytes(pgd: bigint, address: bigint, size: number): Buffer | undefined {
  try {
    return readVa(pgd, address, size);
  } catch {
    return undefined;
  }
}

/** A list of addresses of text that ends with NULL, such as argv. */
function showTexts(bits: 32 | 64): Show {
  return (value, values, pgd) => {
    if (value === 0n) return "NULL";
    const texts: string[] = [];
    for (let index = 0; index < MOST_TEXTS; index++) {
      const bytes = readBytes(pgd, value + BigInt((index * bits) / 8), bits / 8);
      if (bytes === undefined) return index === 0 ? hex(value) : `[${texts.join(", ")}, ...]`;
      const address = bits === 64 ? bytes.readBigUInt64LE() : BigInt(bytes.readUInt32LE());
      if (address === 0n) return `[${texts.join(", ")}]`;
      texts.push(showText(address, values, pgd));
    }
    return `[${texts.join(", ")}, ...]`;
  };
}

/** The sixth argument of a program of 32 bits lies on its stack. */
export function readSixth(pgd: bigint, address: bigint): bigint {
  return BigInt(readBytes(pgd, address, 4)?.readUInt32LE() ?? 0);
}
