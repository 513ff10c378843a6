import { closeSync, openSync, readSync } from "node:fs";
import { constants } from "node:os";

/** So much of a file says what it is, in bytes. */
const HEAD = 4096;
/** e_machine of elf(5), with the names that `uname -m` has. */
const MACHINES: Readonly<Record<number, string>> = {
  ...{ 2: "sparc", 3: "i386", 4: "m68k", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 42: "sh4" },
  ...{ 43: "sparc64", 62: "x86_64", 183: "aarch64", 243: "riscv", 258: "loongarch" },
};
const X86_MACHINES = [3, 62];
const PT_INTERP = 3;

/** The kind of a file, as far as it matters for its execution. */
export interface TargetFormat {
  /** It is text without "#!", which the kernel does not execute: it is for sh, as an unknown text is to every shell. */
  readonly isShellText: boolean;
  /** A name for people; undefined when there is none: "an ELF file for aarch64". */
  readonly description: string | undefined;
  /** The program that executes it, by its own words: an interpreter's path. */
  readonly interpreter: string | undefined;
}

/** Reads what kind of file a target is. @throws Error of node:fs when it cannot be read */
export function readTargetFormat(path: string): TargetFormat {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(HEAD);
    return findFormat(head.subarray(0, readSync(file, head)));
  } finally {
    closeSync(file);
  }
}

/**
 * Explains why a kernel has refused to execute a target.
 *
 * @param errno its answer; undefined when that was not seen
 */
export function explainRefusal(errno: number | undefined, { description, interpreter }: TargetFormat): string {
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `error ${errno}`;
  const what = description === undefined ? "" : `; it is ${description}`;
  const needs = interpreter === undefined ? "" : `, and needs ${interpreter}`;
  switch (errno === undefined ? undefined : name) {
    case undefined:
      return `it ended before it ran${what}`;
    case "ENOEXEC":
      return `its format is none that the guest executes (ENOEXEC)${what}`;
    case "ENOENT":
      return `the guest lacks ${interpreter ?? "a file that it needs"} (ENOENT)${what}`;
    case "EACCES":
    case "EPERM":
      return `the guest does not permit it (${name})${what}${needs}`;
    case "ELIBBAD":
      return `its interpreter${interpreter === undefined ? "" : ` ${interpreter}`} is no program for it (ELIBBAD)${what}`;
    default:
      return `the guest's kernel answers ${name}${what}${needs}`;
  }
}

function findFormat(head: Buffer): TargetFormat {
  const isText = head.length > 0 && !head.some((byte) => byte < 7 || (byte > 13 && byte < 27) || byte === 127);
  const [, script] = /^#![ \t]*([^ \t\r\n\0]+)/.exec(head.toString("latin1")) ?? [];
  if (head.subarray(0, 4).equals(Buffer.from("\x7fELF", "latin1"))) return readElf(head);
  if (script !== undefined) return { isShellText: false, description: `a script of ${script}`, interpreter: script };
  if (head.length === 0) return { isShellText: false, description: "empty", interpreter: undefined };
  const description = head.subarray(0, 2).equals(Buffer.from("MZ"))
    ? "a program for Windows or DOS (PE)"
    : isText
      ? undefined
      : "neither an ELF file nor a script";
  return { isShellText: isText && description === undefined, description, interpreter: undefined };
}

/** See elf(5). */
function readElf(head: Buffer): TargetFormat {
  const unknown = { isShellText: false, description: "a damaged ELF file", interpreter: undefined };
  if (head.length < 64) return unknown;
  const is64 = head[4] === 2;
  const isLittle = head[5] === 1;
  const read = (offset: number, size: number): number => {
    if (offset + size > head.length) return 0;
    return isLittle ? head.readUIntLE(offset, size) : head.readUIntBE(offset, size);
  };
  const machine = read(18, 2);
  const name = MACHINES[machine] ?? `machine ${machine}`;
  const description = `an ELF file for ${name}${is64 ? "" : " (32 bits)"}${isLittle ? "" : ", big-endian"}`;
  if (!X86_MACHINES.includes(machine)) return { isShellText: false, description, interpreter: undefined };
  const [table, entry, count] = is64
    ? [read(32, 6), read(54, 2), read(56, 2)]
    : [read(28, 4), read(42, 2), read(44, 2)];
  for (let index = 0; index < count; index++) {
    const at = table + index * entry;
    if (read(at, 4) !== PT_INTERP) continue;
    const [offset, size] = is64 ? [read(at + 8, 6), read(at + 32, 4)] : [read(at + 4, 4), read(at + 16, 4)];
    const interpreter = head.toString("latin1", offset, offset + size).replace(/\0[^]*$/, "");
    return { isShellText: false, description, interpreter: interpreter === "" ? undefined : interpreter };
  }
  return { isShellText: false, description, interpreter: undefined };
}
