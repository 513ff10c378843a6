import type { LinuxKernel } from "../structs/linux-kernel";
import type { SystemCall, SystemCallParameter } from "../../system-call";
import { SystemCallSwitch } from "./system-call-switch";

/** Numbers of system calls are below this on all kernels, those of x32 included (547). */
const NUMBERS = 1024;
/**
 * Programs of x32 make the calls of 64 bits, with a bit in their numbers that the kernel takes off; from here on those that they alone
 * have (arch/x86/entry/syscalls/syscall_64.tbl).
 */
const FIRST_OF_X32 = 512;
/** SYSCALL_DEFINE6 is the largest there is. */
const MOST_PARAMETERS = 6;
const LONGEST_TEXT = 80;
/** __x64_sys_read, __ia32_compat_sys_ioctl, and static functions at the same address: __do_sys_fork, __se_sys_read. */
const FUNCTION = /^(?:__[a-z0-9]+_)?(?:compat_)?(?:x32_)?sys_(?:x32_|ia32_)?(\w+?)(?:\.\w+)*$/;
/** The functions in the table for calls that this kernel does not have. */
const MISSING = ["__x64_sys_ni_syscall", "__ia32_sys_ni_syscall", "sys_ni_syscall"];

/**
 * The place where the kernel keeps which function a number means, from which number on: a table, or since 6.9 a function, for programs
 * of these bits. Those of x32 alone were in the table of 64 bits until 5.7.
 */
const SOURCES = {
  64: [
    { bits: 64, table: "sys_call_table", function: "x64_sys_call", first: 0 },
    { bits: 64, table: "x32_sys_call_table", function: "x32_sys_call", first: FIRST_OF_X32 },
    { bits: 32, table: "ia32_sys_call_table", function: "ia32_sys_call", first: 0 },
  ],
  32: [{ bits: 32, table: "sys_call_table", function: "ia32_sys_call", first: 0 }],
} as const;

/**
 * Lists the system calls that the guest's kernel has, by its own table and symbols, with what it knows of their parameters.
 *
 * @returns in the order of their numbers, first those of programs of 64 bits
 */
export function listSystemCalls(kernel: LinuxKernel): SystemCall[] {
  const missing = new Set(MISSING.map((name) => kernel.findSymbol(name)));
  // Programs of 32 bits have most calls in common with those of 64, and there are few types.
  const described = new Map<string, SystemCallParameter[] | undefined>();
  const texts = new Map<bigint, string>();
  const describe = (name: string): SystemCallParameter[] | undefined => {
    if (!described.has(name)) described.set(name, findParameters(kernel, name, texts));
    return described.get(name);
  };
  return SOURCES[kernel.bits].flatMap(({ bits, table, function: name, first }) =>
    listTargets(kernel, table, name, first).flatMap((target, index) => {
      const number = first + index;
      if (target === undefined || missing.has(target)) return [];
      const found = findName(kernel, target);
      return found === undefined ? [] : [{ bits, number, name: found, parameters: describe(found) }];
    }),
  );
}

/** Lists the functions of all numbers from the first on, in their order; undefined where there is none. */
function listTargets(kernel: LinuxKernel, table: string, name: string, first: number): (bigint | undefined)[] {
  const start = kernel.findSymbol(table);
  if (start !== undefined) return readTable(kernel, start).slice(first);
  const calls = SystemCallSwitch.find(kernel, name);
  if (!calls) return [];
  try {
    return Array.from({ length: NUMBERS - first }, (_, index) => calls.findTarget(first + index));
  } finally {
    calls.close();
  }
}

function readTable(kernel: LinuxKernel, start: bigint): bigint[] {
  const { memory, symbols } = kernel;
  const known = symbols.findSymbol(start)?.size ?? 0;
  const bytes = memory.readSome(start, Math.min(known || Infinity, NUMBERS * memory.pointerSize));
  const count = Math.floor(bytes.length / memory.pointerSize);
  const read = (index: number): bigint =>
    memory.pointerSize === 8 ? bytes.readBigUInt64LE(index * 8) : BigInt(bytes.readUInt32LE(index * 4));
  const targets = Array.from({ length: count }, (_, index) => read(index));
  // The symbol may reach up to the next one, past the table's end: what follows is no address of a function.
  const end = targets.findIndex((target) => findName(kernel, target) === undefined);
  return end < 0 ? targets : targets.slice(0, end);
}

function findName(kernel: LinuxKernel, target: bigint): string | undefined {
  const symbol = kernel.symbols.findSymbol(target);
  return symbol?.address === target ? FUNCTION.exec(symbol.name)?.[1] : undefined;
}

/** include/linux/syscalls.h: SYSCALL_METADATA(); include/trace/syscall.h: struct syscall_metadata. */
function findParameters(
  kernel: LinuxKernel,
  name: string,
  texts: Map<bigint, string>,
): SystemCallParameter[] | undefined {
  const address = kernel.findSymbol(`__syscall_meta__${name}`);
  if (address === undefined || !kernel.findMember("syscall_metadata", "nb_args")) return undefined;
  try {
    const facts = kernel.at("syscall_metadata", address);
    const count = facts.number("nb_args");
    if (!(count >= 0 && count <= MOST_PARAMETERS)) return undefined;
    const [types, names] = [facts.value("types"), facts.value("args")];
    return Array.from({ length: count }, (_, index) => ({
      type: readText(kernel, types, index, texts),
      name: readText(kernel, names, index, texts),
    }));
  } catch {
    // What stands there is no description.
    return undefined;
  }
}

function readText({ memory }: LinuxKernel, list: bigint, index: number, texts: Map<bigint, string>): string {
  const address = memory.pointer(list + BigInt(index * memory.pointerSize));
  let text = texts.get(address);
  if (text === undefined) texts.set(address, (text = memory.text(address, LONGEST_TEXT)));
  return text;
}
