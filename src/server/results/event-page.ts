import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { type AnalysisEvent, EVENTS_FILE } from "../../lab/analysis/event-log";

/** In bytes. */
const CHUNK = 1 << 20;
const LONGEST_LINE = 1 << 20;
const NEWLINE = 10;

/** Read into again and again: buffers of this size are garbage that is collected late, and their pages take longer than to read into them. */
let shared: Buffer | undefined;

/** The events that are looked for: those that have all that is given. */
export interface EventFilter {
  /** Their type, or its beginning up to a point: "file." */
  readonly type?: string | undefined;
  readonly pid?: number | undefined;
  /** A text in their line, in its own case. */
  readonly text?: string | undefined;
}

/** Some events of an analysis, in their order. */
export interface EventPage {
  readonly events: readonly AnalysisEvent[];
  /** Where the next page begins, as `after`; undefined when there are no more so far. */
  readonly next: number | undefined;
}

/**
 * Reads a page of the events of an analysis that a filter lets through.
 *
 * @param folder the folder of the analysis
 * @param after where to begin: 0, or the `next` of another page; an offset in bytes
 * @param limit at most so many
 */
export function readEventPage(folder: string, filter: EventFilter, after: number, limit: number): EventPage {
  const file = join(folder, EVENTS_FILE);
  if (!existsSync(file)) return { events: [], next: undefined };
  const descriptor = openSync(file, "r");
  try {
    const { size } = fstatSync(descriptor);
    const needles = listNeedles(filter);
    const events: AnalysisEvent[] = [];
    const buffer = (shared ??= Buffer.allocUnsafeSlow(CHUNK + LONGEST_LINE));
    let at = findLineStart(descriptor, Math.min(after, size), buffer);
    while (at < size) {
      const length = readSync(descriptor, buffer, 0, buffer.length, at);
      const end = buffer.subarray(0, length).lastIndexOf(NEWLINE) + 1;
      // A line that is longer was not written by us; the last one may not be whole yet.
      if (end === 0) {
        if (at + length >= size) break;
        at += length;
        continue;
      }
      const bytes = buffer.subarray(0, end);
      const [first, ...others] = needles;
      const mayFit = others.every((needle) => bytes.includes(needle));
      for (let start = 0; mayFit && start < end;) {
        const line = findNextLine(bytes, first, start);
        if (line === undefined) break;
        start = line.end + 1;
        // A line is parsed only when it has all of them: that takes far longer than looking.
        if (!others.every((needle) => bytes.subarray(line.start, line.end).includes(needle))) continue;
        const event = parseEvent(bytes.toString("utf8", line.start, line.end));
        if (event === undefined || !fits(event, filter)) continue;
        events.push(event);
        if (events.length === limit) return { events, next: at + start };
      }
      at += end;
    }
    return { events, next: undefined };
  } finally {
    closeSync(descriptor);
  }
}

/** Returns whether a filter lets an event through. */
export function fits(event: AnalysisEvent, { type, pid, text }: EventFilter): boolean {
  if (type !== undefined && event.type !== type && !(type.endsWith(".") && event.type.startsWith(type))) return false;
  if (pid !== undefined && event["pid"] !== pid) return false;
  return text === undefined || JSON.stringify(event).includes(toJsonText(text));
}

/** Parses a line of events; undefined for one that is none. */
export function parseEvent(line: string): AnalysisEvent | undefined {
  try {
    const event = JSON.parse(line) as Partial<AnalysisEvent> | null;
    return typeof event?.type === "string" && typeof event.time === "string" ? (event as AnalysisEvent) : undefined;
  } catch {
    return undefined;
  }
}

/** Lists bytes that each line which fits has: they are found far faster than lines are parsed. The rarest come first. */
function listNeedles({ type, pid, text }: EventFilter): Buffer[] {
  const needles = [
    text === undefined || text === "" ? undefined : toJsonText(text),
    pid === undefined ? undefined : `"pid":${pid}`,
    type === undefined ? undefined : `"type":"${type}${type.endsWith(".") ? "" : '"'}`,
  ];
  return needles.flatMap((needle) => (needle === undefined ? [] : [Buffer.from(needle)]));
}

function toJsonText(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function findNextLine(
  bytes: Buffer,
  needle: Buffer | undefined,
  from: number,
): { readonly start: number; readonly end: number } | undefined {
  // prettier-ignore
  if (needle === undefined) return { start: from, end: bytes.indexOf(NEWLINE, from) };
  const found = bytes.indexOf(needle, from);
  if (found === -1) return undefined;
  return { start: bytes.lastIndexOf(NEWLINE, found) + 1, end: bytes.indexOf(NEWLINE, found) };
}

/** Returns where the first line at or behind an offset begins: a request may name any. */
function findLineStart(descriptor: number, offset: number, buffer: Buffer): number {
  if (offset === 0) return 0;
  const length = readSync(descriptor, buffer, 0, LONGEST_LINE, offset - 1);
  const newline = buffer.subarray(0, length).indexOf(NEWLINE);
  return newline === -1 ? offset - 1 + length : offset + newline;
}
