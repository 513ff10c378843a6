import { type AnalysisEvent, readEvents } from "../event-log";
import { type FollowedEvent, followEvents } from "../report/follow-events";
import { type Origin, ProcessHistory, type ProcessNode } from "../report/process-tree";
import { writeWholeFile } from "../whole-file";
import { messageField, numberField, textField } from "./protobuf";

/** In a millisecond, which is what events have. */
const MICROSECONDS = 1000;

// Fields and values of protos/perfetto/trace/trace_packet.proto and track_event/*.proto, as Perfetto 59 has them.
const TRACE = { packet: 1 } as const;
const PACKET = { clockSnapshot: 6, timestamp: 8, sequenceId: 10, trackEvent: 11, trackDescriptor: 60 } as const;
const TRACK = { uuid: 1, name: 2, parent: 5, childOrdering: 11, rank: 12, mergeBehavior: 15 } as const;
const EVENT = { annotations: 4, type: 9, track: 11, categories: 22, name: 23 } as const;
const ANNOTATION = { integer: 4, text: 6, name: 10 } as const;
const SLICE_BEGIN = 1;
const SLICE_END = 2;
const INSTANT = 3;
const EXPLICIT_ORDER = 3;
/** Tracks of one name stay apart: numbers of processes are used again. */
const MERGE_NONE = 2;
const CLOCK_REALTIME = 1;
const CLOCK_BOOTTIME = 6;
/** All packets are of one sequence. */
const SEQUENCE = 1;

/** The tracks above those of processes, by whose these are, in the order in which they stand. */
const GROUPS: Readonly<Record<Origin, string>> = {
  target: "the target",
  adopted: "acts for the target",
  rebox: "rebox",
  system: "the system",
};
/** The track of what belongs to no process. */
const ANALYSIS_TRACK = 1;
const FIRST_GROUP = 2;
/** The track of a process has this and its number in the analysis. */
const FIRST_PROCESS = 1000;

/** Facts that the track or the slice itself has. */
const LEFT_OUT = new Set(["time", "type", "sequence", "pid", "process"]);

interface Program {
  readonly name: string;
  readonly sinceUs: number;
  readonly untilUs: number;
}

/**
 * Writes an analysis as a trace in Perfetto's own format, which ui.perfetto.dev and trace_processor open: a track for each process,
 * with its life and the programs that it executed as slices, and its acts as instants.
 *
 * @param folder of the analysis
 * @param file is written
 * @throws Error of node:fs
 */
export function writePerfettoTrace(folder: string, file: string): void {
  const running = new Map<number, { readonly sinceUs: number; readonly name: string }>();
  const programs = new Map<number, Program[]>();
  const clock = new TraceClock();
  let firstUs: number | undefined;
  let lastUs = 0;
  const end = (id: number, untilUs: number): void => {
    const program = running.get(id);
    if (program !== undefined) programs.set(id, [...(programs.get(id) ?? []), { ...program, untilUs }]);
    running.delete(id);
  };
  // The first reading has what a trace needs before the acts: the processes, with whose they are, and the end.
  const see = ({ event, doer }: FollowedEvent): void => {
    lastUs = clock.read(event);
    firstUs ??= lastUs;
    if (doer === undefined) return;
    if (event.type === "process.executed") {
      end(doer.id, lastUs);
      running.set(doer.id, { sinceUs: lastUs, name: String(event["commandLine"] ?? doer.name) });
    } else if (event.type === "process.ended") end(doer.id, lastUs);
  };
  const { nodes } = followEvents(folder, [{ see }]);
  for (const id of [...running.keys()]) end(id, lastUs);
  writeWholeFile(file, listPackets(folder, nodes, programs, firstUs ?? 0, lastUs));
}

function* listPackets(
  folder: string,
  nodes: readonly ProcessNode[],
  programs: ReadonlyMap<number, readonly Program[]>,
  firstUs: number,
  endUs: number,
): Generator<Buffer> {
  yield makeClockSnapshot(firstUs);
  yield makeTrack(ANALYSIS_TRACK, "analysis", undefined, 0);
  const groups = Object.keys(GROUPS) as Origin[];
  for (const [index, origin] of groups.entries()) {
    if (nodes.some((node) => node.origin === origin)) yield makeTrack(FIRST_GROUP + index, GROUPS[origin], undefined, 1 + index); // prettier-ignore
  }
  for (const { id, pid, name, origin } of nodes) {
    yield makeTrack(FIRST_PROCESS + id, `${name} ${pid}`, FIRST_GROUP + groups.indexOf(origin), id);
  }
  for (const { id, name, began, ended } of nodes) {
    const track = FIRST_PROCESS + id;
    const beganUs = Date.parse(began) * MICROSECONDS;
    const untilUs = ended === undefined ? endUs : Date.parse(ended) * MICROSECONDS + (MICROSECONDS - 1);
    yield makeEvent(SLICE_BEGIN, track, beganUs, "process", name);
    for (const program of programs.get(id) ?? []) {
      yield makeEvent(SLICE_BEGIN, track, program.sinceUs, "program", program.name);
      yield makeEvent(SLICE_END, track, program.untilUs);
    }
    yield makeEvent(SLICE_END, track, Math.max(untilUs, beganUs));
  }
  yield* listActs(folder);
}

/** The acts, in a reading of their own: a million of them are not kept. */
function* listActs(folder: string): Generator<Buffer> {
  const history = new ProcessHistory();
  const clock = new TraceClock();
  for (const event of readEvents(folder)) {
    const id = history.add(event)?.id;
    const atUs = clock.read(event);
    if (/^process\.(created|executed|ended)$/.test(event.type)) continue;
    const annotations = Object.entries(event).flatMap(([name, value]) =>
      LEFT_OUT.has(name) ? [] : [makeAnnotation(name, value)],
    );
    const track = id === undefined ? ANALYSIS_TRACK : FIRST_PROCESS + id;
    yield makeEvent(INSTANT, track, atUs, event.type.split(".")[0]!, event.type, annotations);
  }
}

/** The time of the trace is that of the host's clock. */
function makeClockSnapshot(atUs: number): Buffer {
  const clocks = [CLOCK_BOOTTIME, CLOCK_REALTIME].map((clock) =>
    messageField(1, numberField(1, clock), numberField(2, toNs(atUs))),
  );
  return makePacket(messageField(PACKET.clockSnapshot, ...clocks));
}

function makeTrack(uuid: number, name: string, parent: number | undefined, rank: number): Buffer {
  const fields = [
    ...[numberField(TRACK.uuid, uuid), textField(TRACK.name, name), numberField(TRACK.rank, rank)],
    ...[numberField(TRACK.childOrdering, EXPLICIT_ORDER), numberField(TRACK.mergeBehavior, MERGE_NONE)],
    ...(parent === undefined ? [] : [numberField(TRACK.parent, parent)]),
  ];
  return makePacket(messageField(PACKET.trackDescriptor, ...fields));
}

function makeEvent(
  type: number,
  track: number,
  atUs: number,
  category?: string,
  name?: string,
  annotations: readonly Buffer[] = [],
): Buffer {
  const fields = [numberField(EVENT.type, type), numberField(EVENT.track, track), ...annotations];
  if (category !== undefined) fields.push(textField(EVENT.categories, category));
  if (name !== undefined) fields.push(textField(EVENT.name, name));
  return makePacket(numberField(PACKET.timestamp, toNs(atUs)), messageField(PACKET.trackEvent, ...fields));
}

function makeAnnotation(name: string, value: unknown): Buffer {
  const isInteger = typeof value === "number" && Number.isSafeInteger(value);
  const shown = typeof value === "string" ? value : JSON.stringify(value);
  return messageField(
    EVENT.annotations,
    textField(ANNOTATION.name, name),
    isInteger ? numberField(ANNOTATION.integer, value) : textField(ANNOTATION.text, shown),
  );
}

function makePacket(...fields: readonly Buffer[]): Buffer {
  return messageField(TRACE.packet, ...fields, numberField(PACKET.sequenceId, SEQUENCE));
}

function toNs(us: number): bigint {
  return BigInt(us) * 1000n;
}

/** Times in microseconds, of which events have thousands: those of one millisecond keep their order within it. */
class TraceClock {
  #lastMs = 0;
  #within = 0;

  read({ time }: AnalysisEvent): number {
    const ms = Date.parse(time);
    this.#within = ms === this.#lastMs ? Math.min(this.#within + 1, MICROSECONDS - 1) : 0;
    this.#lastMs = ms;
    return ms * MICROSECONDS + this.#within;
  }
}
