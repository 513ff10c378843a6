import { setImmediate as nextTurn } from "node:timers/promises";
import { CommandError } from "../../errors";
import { type MemoryPlace, readGuestBytes, getSize, parseRange } from "../arguments/memory-place";
import { parseBytes } from "../arguments/typed-values";
import { type Command, defineCommand } from "../command";

const CHUNK = 0x40000;

/** The memory to search. */
export interface SearchRange extends MemoryPlace {
  /** In bytes. */
  readonly size: number;
}

/**
 * Goes through memory in pieces, over pages that cannot be read, and lets the guest and other work run in between.
 *
 * A piece ends where a page cannot be read, so that nothing is found across a hole. The end of a piece is handed over again in
 * front of the next one, since a find may begin there.
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

/** Finds the end of the readable or unreadable part: at the end of a page, or of the chunk. */
function findEnd(has: (index: number) => boolean, from: number, size: number, address: bigint): number {
  const first = has(from);
  let at = from;
  while (at < size && has(at) === first) at += 0x1000 - Number((address + BigInt(at)) & 0xfffn);
  return Math.min(at, size);
}

/**
 * Finds every place of a pattern in memory, also those that overlap or lie across pages.
 *
 * @param most the largest number of places
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

const MOST_HITS = 1000;
const LARGEST_SEARCH = 0x100000000;
const DEFAULT_SIZE = 512;
const SHORTEST_TEXT = 4;
const RUN = new RegExp(`[\\x20-\\x7e]{${SHORTEST_TEXT},}`, "g");

export const SEARCH_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "s",
    aliases: ["search"],
    usage: '[p]ADDRESS:SIZE:HEX | "text" | u"text"',
    help: `Searches memory for bytes, text, or UTF-16 text, and tells the address of every hit, at most ${MOST_HITS}.\nPages that cannot be read are passed over.`,
    parse: (input, session) => {
      const [, place, size, pattern] = /^((?:"(?:[^"\\]|\\[^])*"|[^:"])+):([^:"]+):(.+)$/s.exec(input.rest()) ?? [];
      if (pattern === undefined) throw new CommandError("s needs ADDRESS:SIZE:PATTERN; see: help s");
      return { range: parseRange(`${place}:${size}`, session), pattern: parseBytes(pattern) };
    },
    run: async ({ range, pattern }, session) => {
      const size = getSize(range, DEFAULT_SIZE, LARGEST_SEARCH);
      const { pgd } = session;
      const { hits, isComplete } = await searchMemory({ ...range, size }, pgd, pattern, MOST_HITS);
      const namer = session.createNamer();
      const note = isComplete ? `${hits.length} found` : `more than ${MOST_HITS}: search less at a time`;
      const rows = hits.map((address) => ({ address, symbol: namer.find(address) }));
      return { kind: "rows", columns: ["address", "symbol"], rows, note };
    },
  }),
  defineCommand({
    name: "strings",
    usage: "[p]ADDRESS[:SIZE]",
    help: `Lists the runs of at least ${SHORTEST_TEXT} printable ASCII characters in memory, at most ${MOST_HITS}.`,
    parse: (input, session) => parseRange(input.get("an address"), session),
    run: async (range, session) => {
      const rows: { address: bigint; text: string }[] = [];
      const size = getSize(range, DEFAULT_SIZE, LARGEST_SEARCH);
      /** The address behind the last run in the rows. */
      let end = -1n;
      const isComplete = await walkMemory({ ...range, size }, session.pgd, SHORTEST_TEXT - 1, (bytes, address) => {
        for (const { 0: text, index } of bytes.toString("latin1").matchAll(RUN)) {
          const at = address + BigInt(index);
          const last = at + BigInt(text.length);
          const previous = rows.at(-1);
          if (last <= end) continue;
          if (previous !== undefined && at < end) {
            previous.text += text.slice(Number(end - at));
          } else {
            if (rows.length === MOST_HITS) return false;
            rows.push({ address: at, text });
          }
          end = last;
        }
        return true;
      });
      const none = `no run of ${SHORTEST_TEXT} printable characters in the 0x${size.toString(16)} bytes, as far as they can be read`;
      const whole = rows.length === 0 ? none : undefined;
      const note = isComplete ? whole : `more than ${MOST_HITS}: look at less at a time`;
      return { kind: "rows", columns: ["address", "text"], rows, note };
    },
  }),
];
