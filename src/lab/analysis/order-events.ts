import { closeSync, existsSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EVENTS_FILE } from "./event-log";

const CHUNK = 1 << 20;
/** The beginning of a line, as appendEvent() writes it; in bytes. */
const LONGEST_STAMP = 80;
const STAMP = /^\{"time":"([^"]{1,40})"(?:,"sequence":(\d{1,16}))?/;

/** The lines of a file: where each begins, with what it is ordered by. */
interface Lines {
  readonly starts: number[];
  readonly times: number[];
  readonly sequences: number[];
  /** In bytes. */
  readonly size: number;
  readonly isOrdered: boolean;
}

/**
 * Puts the events of an analysis into the order in which they happened. What observes the guest tells it by several connections, so
 * they have arrived in another one: those of the machine's engine are ordered by its own sequence, all by their time. The last line
 * of an analysis that was killed may be torn; it stays the last.
 *
 * @param folder the folder of the analysis
 * @throws Error of node:fs when the disk is full; the events are as they were then
 */
export function orderEvents(folder: string): void {
  const file = join(folder, EVENTS_FILE);
  if (!existsSync(file)) return;
  const source = openSync(file, "r");
  try {
    const lines = readLines(source);
    if (lines.isOrdered) return;
    const ordered = join(folder, `.${EVENTS_FILE}.new`);
    writeOrdered(source, lines, ordered);
    renameSync(ordered, file);
  } finally {
    closeSync(source);
  }
}

function readLines(source: number): Lines {
  const [starts, times, sequences]: [number[], number[], number[]] = [[], [], []];
  let isOrdered = true;
  let size = 0;
  let rest = Buffer.alloc(0);
  const chunk = Buffer.alloc(CHUNK);
  const note = (start: number, stamp: string, isWhole: boolean): void => {
    const [, time = "", sequence = "0"] = STAMP.exec(stamp) ?? [];
    const last = times.length - 1;
    const parsed = Date.parse(time);
    // What is no event stays behind the line before it.
    const timeMs = !isWhole ? Infinity : Number.isNaN(parsed) ? (times[last] ?? 0) : parsed;
    const order = Number.isNaN(parsed) && last >= 0 ? sequences[last]! : Number(sequence);
    if (last >= 0 && (timeMs < times[last]! || (timeMs === times[last] && order < sequences[last]!))) isOrdered = false;
    starts.push(start);
    times.push(timeMs);
    sequences.push(order);
  };
  for (let length = readSync(source, chunk); length > 0; length = readSync(source, chunk)) {
    const bytes = Buffer.concat([rest, chunk.subarray(0, length)]);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      note(size + start, bytes.toString("latin1", start, Math.min(end, start + LONGEST_STAMP)), true);
      start = end + 1;
    }
    size += start;
    rest = Buffer.from(bytes.subarray(start));
  }
  if (rest.length > 0) note(size, "", false);
  return { starts, times, sequences, size: size + rest.length, isOrdered };
}

/** Copies lines in their order; those that follow each other already are copied at once. */
function writeOrdered(source: number, { starts, times, sequences, size }: Lines, path: string): void {
  const order = Uint32Array.from(starts.keys());
  order.sort((one, other) => times[one]! - times[other]! || sequences[one]! - sequences[other]! || one - other);
  const target = openSync(path, "w");
  try {
    for (let at = 0; at < order.length;) {
      const first = order[at]!;
      let count = 1;
      while (order[at + count] === first + count) count++;
      copy(source, target, starts[first]!, starts[first + count] ?? size);
      at += count;
    }
  } finally {
    closeSync(target);
  }
}

function copy(source: number, target: number, from: number, to: number): void {
  const chunk = Buffer.alloc(Math.min(CHUNK, to - from));
  for (let at = from; at < to;) {
    const length = readSync(source, chunk, 0, Math.min(chunk.length, to - at), at);
    if (length === 0) return;
    for (let written = 0; written < length;) written += writeSync(target, chunk, written, length - written);
    at += length;
  }
}
