import type { VirtualMemory } from "../../memory/virtual-memory";
import type { StructCursor } from "../../structs/struct-cursor";

/** Three quarters of the standard limit of a stack: more the kernel takes from no caller of execve() (fs/exec.c). */
const LONGEST = 6 * 1024 * 1024;
const PAGE = 4096;

/**
 * Reads the command line of a process as /proc/PID/cmdline prints it (fs/proc/base.c: get_mm_cmdline()): the words with which
 * the program was started, each with the zero that ends it, unless the process has written over the last zero. Then it is one
 * text up to its first zero, which may go on into the environment (get_mm_proctitle(); kernel commit d26d0cd97c88).
 *
 * @param mm the process' struct mm_struct
 * @param memory the process' own
 * @returns up to the first page that is not in memory
 */
export function readCommandLine(mm: StructCursor, memory: VirtualMemory): Uint8Array {
  const [start, end] = [mm.value("arg_start"), mm.value("arg_end")];
  if (start >= end) return new Uint8Array();
  if (!isOverwritten(memory, end)) return memory.readSome(start, bound(end - start));
  const [next, last] = [mm.value("env_start"), mm.value("env_end")];
  // Only into an environment that begins where the words end.
  const limit = next === end && last >= next ? last : end;
  const text = memory.readSome(start, Math.min(bound(limit - start), PAGE));
  const zero = text.indexOf(0);
  return zero < 0 ? text : text.subarray(0, zero + 1);
}

/** Reads the environment of a process as /proc/PID/environ prints it (fs/proc/base.c: environ_read()). */
export function readEnvironment(mm: StructCursor, memory: VirtualMemory): Uint8Array {
  const [start, end] = [mm.value("env_start"), mm.value("env_end")];
  return start >= end ? new Uint8Array() : memory.readSome(start, bound(end - start));
}

/** Splits text into words that each end with a zero; the last one's may be missing. Empty words are words. */
export function splitWords(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return [];
  const end = bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length;
  return Buffer.from(bytes.buffer, bytes.byteOffset, end).toString("utf8").split("\0");
}

function isOverwritten(memory: VirtualMemory, end: bigint): boolean {
  const [last] = memory.readSome(end - 1n, 1);
  return last !== undefined && last !== 0;
}

function bound(size: bigint): number {
  return size < LONGEST ? Number(size) : LONGEST;
}
