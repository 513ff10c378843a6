import { setImmediate as nextTurn } from "node:timers/promises";
import type { MemoryPlace } from "./memory-place";
import { readGuestBytes } from "./guest-bytes";

const CHUNK = 0x40000;

/** What memory is searched for. */
export interface SearchRange extends MemoryPlace {
  /** In bytes. */
  readonly size: number;
}

/**
 * Goes through memory in pieces, over pages that cannot be read, and lets the guest and others run in between.
 *
 * A piece ends where a page cannot be read, so that nothing is found across a hole. What may have begun at a piece's end is
 * handed over again, in front of the next one.
 *
 * @param overlap how many bytes at the end of a piece are handed over again, at least
 * @param visit gets the bytes, the address of the first one, and how many of them it has seen before
 * @returns whether visit() has asked for all of it: it stops the walk by returning false
 */
export async function walkMemory(
  range: SearchRange,
  pgd: bigint,
  overlap: number,
  visit: (bytes: Buffer, address: bigint, seen: number) => boolean,
): Promise<boolean> {
  let carried = Buffer.alloc(0);
  for (let done = 0; done < range.size; done += CHUNK) {
    const address = BigInt.asUintN(64, range.address + BigInt(done));
    const size = Math.min(CHUNK, range.size - done);
    const memory = readGuestBytes({ ...range, address }, pgd, size);
    for (let from = 0; from < size;) {
      const to = findEnd(memory.has, from, size, address);
      if (memory.has(from)) {
        const piece = Buffer.concat([carried, memory.bytes.subarray(from, to)]);
        if (!visit(piece, BigInt.asUintN(64, address + BigInt(from - carried.length)), carried.length)) return false;
        carried = Buffer.from(piece.subarray(Math.max(0, piece.length - overlap)));
      } else {
        carried = Buffer.alloc(0);
      }
      from = to;
    }
    await nextTurn();
  }
  return true;
}

/** Where what can be read, or cannot, ends: at the end of a page, or of the chunk. */
function findEnd(has: (index: number) => boolean, from: number, size: number, address: bigint): number {
  const first = has(from);
  let at = from;
  while (at < size && has(at) === first) at += 0x1000 - Number((address + BigInt(at)) & 0xfffn);
  return Math.min(at, size);
}

/**
 * Finds every place of a pattern in memory, also those that overlap or lie across pages.
 *
 * @param most how many are looked for
 * @returns the addresses in order, and whether the whole range was searched
 */
export async function searchMemory(
  range: SearchRange,
  pgd: bigint,
  pattern: Buffer,
  most: number,
): Promise<{ readonly hits: readonly bigint[]; readonly isComplete: boolean }> {
  const hits: bigint[] = [];
  const isComplete = await walkMemory(range, pgd, pattern.length - 1, (bytes, address) => {
    for (let at = bytes.indexOf(pattern); at >= 0; at = bytes.indexOf(pattern, at + 1)) {
      if (hits.length === most) return false;
      hits.push(BigInt.asUintN(64, address + BigInt(at)));
    }
    return true;
  });
  return { hits, isComplete };
}
