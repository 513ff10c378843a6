import { basename } from "node:path";
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
const ET_REL = 1;
const ET_DYN = 3;
const LIBRARY = /\.so(\.[\d.]+)?$/;

/** The kind of a file, as far as it matters for its execution. */
export interface TargetFormat {
  /** The words of what executes it; none where the kernel does. Text without "#!" is for sh, as an unknown text is to every shell. */
  readonly starter: readonly string[];
  /** Variables of the environment that its kind needs. */
  readonly variables: Readonly<Record<string, string>>;
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
    return findFormat(head.subarray(0, readSync(file, head)), basename(path));
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
      return `it ended before it ran${what}${needs}`;
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

/** The programs that execute texts which do not say so themselves, by the ends of their names. */
const TEXTS: readonly (readonly [RegExp, readonly string[], string])[] = [
  [/\.pyz?$/i, ["python3"], "a Python program"],
  [/\.p[lm]$/i, ["perl"], "a Perl program"],
  [/\.bash$/i, ["bash"], "a script for bash"],
  [/\.(js|mjs|cjs)$/i, ["node"], "a JavaScript program"],
  [/\.rb$/i, ["ruby"], "a Ruby program"],
  [/\.php$/i, ["php"], "a PHP program"],
];

function findFormat(head: Buffer, name: string): TargetFormat {
  const text = head.toString("latin1");
  const isText = head.length > 0 && !head.some((byte) => byte < 7 || (byte > 13 && byte < 27) || byte === 127);
  const [, script] = /^#![ \t]*([^ \t\r\n\0]+)/.exec(text) ?? [];
  if (text.startsWith("\x7fELF")) return readElf(head, name);
  if (script !== undefined) return formatOf(`a script of ${script}`, { interpreter: script });
  if (head.length === 0) return formatOf("empty");
  // deb(5): an archive of ar with this first member.
  if (text.startsWith("!<arch>\ndebian-binary")) return startedBy(["dpkg", "--install"], "a package for Debian");
  if (text.startsWith("\xed\xab\xee\xdb")) return startedBy(["rpm", "--install"], "a package for RPM");
  if (text.startsWith("PK\x03\x04") && (/\.jar$/i.test(name) || text.includes("META-INF/")))
    return startedBy(["java", "-jar"], "a program for Java");
  if (/\.pyz$/i.test(name) && text.startsWith("PK\x03\x04")) return startedBy(["python3"], "a Python program");
  if (text.startsWith("MZ")) return formatOf("a program for Windows or DOS (PE)");
  if (!isText) return formatOf("neither an ELF file nor a script");
  const [, starter, description] = TEXTS.find(([end]) => end.test(name)) ?? [];
  if (starter !== undefined) return startedBy(starter, description);
  return { ...formatOf(undefined), starter: ["/bin/sh"] };
}

function formatOf(description: string | undefined, more: Partial<TargetFormat> = {}): TargetFormat {
  return { starter: [], variables: {}, description, interpreter: undefined, ...more };
}

function startedBy(starter: readonly string[], description: string | undefined): TargetFormat {
  return formatOf(description, { starter, interpreter: starter[0]! });
}

/** See elf(5). */
function readElf(head: Buffer, file: string): TargetFormat {
  if (head.length < 64) return formatOf("a damaged ELF file");
  const is64 = head[4] === 2;
  const isLittle = head[5] === 1;
  const read = (offset: number, size: number): number => {
    if (offset + size > head.length) return 0;
    return isLittle ? head.readUIntLE(offset, size) : head.readUIntBE(offset, size);
  };
  const machine = read(18, 2);
  const name = MACHINES[machine] ?? `machine ${machine}`;
  const description = `an ELF file for ${name}${is64 ? "" : " (32 bits)"}${isLittle ? "" : ", big-endian"}`;
  if (!X86_MACHINES.includes(machine)) return formatOf(description);
  const type = read(16, 2);
  if (type === ET_REL && /\.ko$/.test(file)) return startedBy(["insmod"], `${description}, a kernel module`);
  // AppImage's own specification: it mounts itself, unless it is told to unpack.
  const isAppImage = head.toString("latin1", 8, 10) === "AI";
  const variables: Record<string, string> = isAppImage ? { APPIMAGE_EXTRACT_AND_RUN: "1" } : {};
  const [table, entry, count] = is64
    ? [read(32, 6), read(54, 2), read(56, 2)]
    : [read(28, 4), read(42, 2), read(44, 2)];
  for (let index = 0; index < count; index++) {
    const at = table + index * entry;
    if (read(at, 4) !== PT_INTERP) continue;
    const [offset, size] = is64 ? [read(at + 8, 6), read(at + 32, 4)] : [read(at + 4, 4), read(at + 16, 4)];
    const interpreter = head.toString("latin1", offset, offset + size).replace(/\0[^]*$/, "");
    return formatOf(description, { variables, interpreter: interpreter === "" ? undefined : interpreter });
  }
  // A program without an interpreter is linked statically; what has no entry either is a library.
  // 48 bits, which is all that an address of a program has.
  const hasEntry = read(24, is64 ? 6 : 4) !== 0;
  if (type === ET_DYN && (!hasEntry || LIBRARY.test(file))) {
    const starter = ["env", 'LD_PRELOAD="$TARGET"', "/bin/true"];
    return formatOf(`${description}, a library`, { starter });
  }
  return formatOf(description, { variables });
}
