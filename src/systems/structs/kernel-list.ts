import type { VirtualMemory } from "../memory/virtual-memory";
import { KernelDataError } from "../errors";

/** The kernel's own limit on tasks (PID_MAX_LIMIT) is 4 Mi; no other list that is walked here is longer. */
export const LONGEST_LIST = 4 * 1024 * 1024;

/**
 * Walks a struct list_head, from the first entry to the last.
 *
 * @param head the address of the list's head, which is no entry
 * @param what for errors: "the list of tasks"
 * @param offset of the list_head within an entry
 * @returns the addresses of the entries
 * @throws KernelDataError when the list loops, leads to nowhere or does not end
 */
export function* walkList(memory: VirtualMemory, head: bigint, what: string, offset: number): Iterable<bigint> {
  yield* walk(memory, readNext(memory, head, what), head, what, offset);
}

/** Walks a struct hlist_head, whose last entry's next is NULL. */
export function* walkHashList(memory: VirtualMemory, head: bigint, what: string, offset: number): Iterable<bigint> {
  yield* walk(memory, readNext(memory, head, what), 0n, what, offset);
}

/**
 * Walks the chain of a hash table from its first entry on. It ends with NULL, or with a number whose lowest bit is set, which
 * identifies the chain (include/linux/list_nulls.h).
 */
export function* walkHashChain(memory: VirtualMemory, first: bigint, what: string, offset: number): Iterable<bigint> {
  yield* walk(memory, first, 0n, what, offset, true);
}

function* walk(
  memory: VirtualMemory,
  first: bigint,
  end: bigint,
  what: string,
  offset: number,
  endsOdd = false,
): Iterable<bigint> {
  const distance = BigInt(offset);
  let at = first;
  // Brent's algorithm: an entry that is met again after a power of two of steps is a loop.
  let mark = 0n;
  let nextMark = 16;
  for (let count = 0; at !== end && !(endsOdd && (at & 1n) === 1n); count++) {
    if (count >= LONGEST_LIST) throw new KernelDataError(what, at, `the list is longer than ${LONGEST_LIST} entries`);
    if (at === mark) throw new KernelDataError(what, at, "the list loops");
    if (count === nextMark) {
      mark = at;
      nextMark *= 2;
    }
    const next = readNext(memory, at, what);
    yield at - distance;
    at = next;
  }
}

function readNext(memory: VirtualMemory, at: bigint, what: string): bigint {
  try {
    return memory.pointer(at);
  } catch (error) {
    throw KernelDataError.from(error, what, at);
  }
}
