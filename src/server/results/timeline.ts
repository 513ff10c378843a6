import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { EVENTS_FILE } from "../../lab/analysis/event-log";

/** In bytes. */
const CHUNK = 1 << 20;
const LONGEST_LINE = 1 << 20;
const NEWLINE = 10;
/** The stretches that the time of an analysis is cut into. */
const STRETCHES = 60;
/** The beginning of each event's line, and the length of its time, which follows: what appendEvent() writes. */
const HEAD = Buffer.from('{"time":"');
const TIME_LENGTH = 24;
/** The end of each line has the type. In bytes. */
const TAIL = 120;
const TYPE = /"type":"([A-Za-z]+)[\w.-]*"\}$/;

/** A stretch of an analysis' time. */
export interface Stretch {
  /** Milliseconds since 1970. */
  readonly startMs: number;
  /** Where its first event is: `after` of a page of events; undefined when it has none. */
  readonly offset: number | undefined;
  /** The numbers of its events by their kind: the first word of their type. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The events of an analysis by their time. */
export interface Timeline {
  /** Milliseconds since 1970: of the first event and the last. */
  readonly startMs: number;
  readonly endMs: number;
  /** All of the same length, without gaps; none when there are no events. */
  readonly stretches: readonly Stretch[];
}

/** Counts the events of an analysis by their time. @param folder the folder of the analysis */
export function readTimeline(folder: string): Timeline {
  // Twice: a million events would not fit into memory, and where each belongs is known when the last one is.
  let [startMs, endMs] = [Infinity, -Infinity];
  for (const { timeMs } of listMarks(folder)) {
    startMs = Math.min(startMs, timeMs);
    endMs = Math.max(endMs, timeMs);
  }
  if (startMs === Infinity) return { startMs: 0, endMs: 0, stretches: [] };
  const lengthMs = Math.max(1, (endMs - startMs) / STRETCHES);
  const stretches = Array.from({ length: STRETCHES }, (_, at) => ({
    ...{ startMs: startMs + at * lengthMs, offset: undefined as number | undefined },
    // The word of a module may be any, such as "constructor".
    counts: Object.create(null) as Record<string, number>,
  }));
  for (const { timeMs, kind, offset } of listMarks(folder)) {
    // A file that grows, or is put into its order, may have an event now that was not there before.
    const at = Math.floor((timeMs - startMs) / lengthMs);
    const stretch = stretches[Math.max(0, Math.min(STRETCHES - 1, at))]!;
    stretch.offset ??= offset;
    stretch.counts[kind] = (stretch.counts[kind] ?? 0) + 1;
  }
  return { startMs, endMs, stretches };
}

interface Mark {
  readonly timeMs: number;
  readonly kind: string;
  /** Of the line, in bytes. */
  readonly offset: number;
}

/** Lists the times and kinds of events without parsing the rest of their lines. Lines that are no events are left out. */
function* listMarks(folder: string): Generator<Mark> {
  const file = join(folder, EVENTS_FILE);
  if (!existsSync(file)) return;
  const descriptor = openSync(file, "r");
  try {
    const buffer = Buffer.allocUnsafeSlow(CHUNK + LONGEST_LINE);
    let at = 0;
    for (;;) {
      const length = readSync(descriptor, buffer, 0, buffer.length, at);
      if (length === 0) return;
      const end = buffer.subarray(0, length).lastIndexOf(NEWLINE) + 1;
      for (let start = 0; start < end;) {
        const newline = buffer.indexOf(NEWLINE, start);
        const mark = readMark(buffer.subarray(start, newline), at + start);
        if (mark !== undefined) yield mark;
        start = newline + 1;
      }
      // A line that long was not written by us; the last one may not be whole yet.
      if (end === 0 && length < buffer.length) return;
      at += end === 0 ? length : end;
    }
  } finally {
    closeSync(descriptor);
  }
}

function readMark(line: Buffer, offset: number): Mark | undefined {
  if (!line.subarray(0, HEAD.length).equals(HEAD)) return undefined;
  const timeMs = Date.parse(line.toString("latin1", HEAD.length, HEAD.length + TIME_LENGTH));
  const [, kind] = TYPE.exec(line.toString("latin1", Math.max(0, line.length - TAIL))) ?? [];
  return Number.isNaN(timeMs) || kind === undefined ? undefined : { timeMs, kind, offset };
}
