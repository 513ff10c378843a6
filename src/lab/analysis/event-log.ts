import { appendFileSync, closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { findMoment } from "./event-moment";
import { getSteadyTime } from "./steady-time";
import type { ScopeOrigin } from "../../guest/scope/scope-event";

/** The name of the file in the folder of an analysis. */
export const EVENTS_FILE = "events.jsonl";

const CHUNK = 1 << 16;
/** In bytes; a longer line was not written by us. */
const LONGEST_LINE = 1 << 20;

/**
 * Adds an event to the events of an analysis, with the moment of what it tells of; see withMoment().
 *
 * @param folder the folder of the analysis
 * @param type what happened
 * @param facts values that JSON has; addresses as text
 */
export function appendEvent(folder: string, type: string, facts: Readonly<Record<string, unknown>>): void {
  const moment = findMoment();
  const stamp = { time: getSteadyTime(moment), sequence: moment?.sequence };
  // The order of the members is that which orderEvents() reads; facts replace none of them.
  const counted = moment?.instructions === undefined ? {} : { instructions: moment.instructions };
  const event = { ...stamp, ...facts, ...stamp, ...counted, type };
  const bigints = (_key: string, value: unknown) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value);
  appendFileSync(join(folder, EVENTS_FILE), `${JSON.stringify(event, bigints)}\n`);
}

/**
 * Reads the events of an analysis in their order, without holding the file in memory. Lines that are no events are left out:
 * the last line of an analysis that was killed may be torn.
 */
export function* readEvents(folder: string): Generator<AnalysisEvent> {
  const file = join(folder, EVENTS_FILE);
  if (!existsSync(file)) return;
  const descriptor = openSync(file, "r");
  try {
    let rest = Buffer.alloc(0);
    const chunk = Buffer.alloc(CHUNK);
    for (let length = readSync(descriptor, chunk); length > 0; length = readSync(descriptor, chunk)) {
      const bytes = Buffer.concat([rest, chunk.subarray(0, length)]);
      let start = 0;
      for (let end = bytes.indexOf(10, start); end !== -1; end = bytes.indexOf(10, start)) {
        const event = findEvent(bytes.toString("utf8", start, end));
        if (event !== undefined) yield event;
        start = end + 1;
      }
      rest = bytes.subarray(start);
      if (rest.length > LONGEST_LINE) rest = Buffer.alloc(0);
    }
  } finally {
    closeSync(descriptor);
  }
}

function findEvent(line: string): AnalysisEvent | undefined {
  try {
    const event = JSON.parse(line) as Partial<AnalysisEvent> | null;
    return typeof event?.type === "string" && typeof event.time === "string" ? (event as AnalysisEvent) : undefined;
  } catch {
    return undefined;
  }
}

/** One thing that happened in an analysis: a line of events.jsonl. */
export interface AnalysisEvent {
  /** ISO 8601, UTC. */
  readonly time: string;
  /** The kind of event, such as "process.created"; an auxiliary module's own types begin with its name and a point. */
  readonly type: string;
  /** The place in the order of all that the machine's engine has reported; events of the analysis itself have none. */
  readonly sequence?: number;
  /** In an analysis that keeps a recording: how many instructions the machine had executed when its engine reported it. */
  readonly instructions?: number;
  readonly [fact: string]: unknown;
}

/** The types that a report shows in a way of their own, with their facts. */
export interface KnownEvents {
  "process.created": {
    pid: number;
    ppid: number | undefined;
    name: string;
    commandLine?: string;
    origin?: ScopeOrigin;
  };
  "process.executed": {
    pid: number;
    name: string;
    commandLine: string;
    executable: string;
    /** Of the target's processes: its number in programs.json. */
    program?: number;
    /** Of the target's processes: what it executes was written, renamed, linked or mounted since the target began. */
    isChanged?: boolean;
    origin?: ScopeOrigin;
  };
  /** A process of the system acts for the target from now on. */
  "process.adopted": { pid: number; name: string; by: number; act: string };
  "process.ended": { pid: number; name: string };
  "file.written": { pid: number; process: string; path: string };
  "file.removed": { pid: number; process: string; path: string };
  "file.renamed": { pid: number; process: string; path: string; to: string };
  "network.connected": { pid: number; process: string; protocol: string; address: string; port: number };
  screenshot: { file: string };
}
