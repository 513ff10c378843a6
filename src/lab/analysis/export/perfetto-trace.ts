import { type AnalysisEvent, readEvents } from "../event-log";
import { type FollowedEvent, followEvents } from "../report/follow-events";
import { type Origin, ProcessHistory, type ProcessNode } from "../report/process-tree";
import { writeJsonItems } from "../report/write-json";

/** In a millisecond, which is what events have. */
const MICROSECONDS = 1000;

/** An entry of Chrome's trace event format, which Perfetto reads; times are in microseconds. */
interface TraceEvent {
  /** "X": a slice; "i": an instant; "M": a fact about a track. */
  readonly ph: "X" | "i" | "M";
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  /** The scope of an instant: its thread. */
  readonly s?: "t";
  readonly args?: Readonly<Record<string, unknown>>;
}

/** Facts that the track or the slice itself has. */
const LEFT_OUT = new Set(["time", "type", "sequence", "pid", "process"]);

/**
 * Writes an analysis as a trace that ui.perfetto.dev and trace_processor open: a track for each process, with its life and the
 * programs that it executed as slices, and its acts as instants. The track of the system has what belongs to no process.
 *
 * @param folder of the analysis
 * @param file is written
 * @throws Error of node:fs
 */
export function writePerfettoTrace(folder: string, file: string): void {
  const programs = new Map<number, { readonly sinceUs: number; readonly name: string }>();
  const slices: TraceEvent[] = [];
  const clock = new TraceClock();
  let lastUs = 0;
  const end = (id: number, untilUs: number): void => {
    const program = programs.get(id);
    programs.delete(id);
    if (program !== undefined) slices.push(makeSlice(id, program.name, "program", program.sinceUs, untilUs));
  };
  // The first reading has what a trace needs before the acts: the processes, with whose they are, and the end.
  const see = ({ event, doer }: FollowedEvent): void => {
    lastUs = clock.read(event);
    if (doer === undefined) return;
    if (event.type === "process.executed") {
      end(doer.id, lastUs);
      programs.set(doer.id, { sinceUs: lastUs, name: String(event["commandLine"] ?? doer.name) });
    } else if (event.type === "process.ended") end(doer.id, lastUs);
  };
  const { nodes } = followEvents(folder, [{ see }]);
  for (const id of [...programs.keys()]) end(id, lastUs);
  writeJsonItems(file, '{"displayTimeUnit":"ms","traceEvents":[', listEvents(folder, nodes, slices, lastUs), "]}");
}

function* listEvents(
  folder: string,
  nodes: readonly ProcessNode[],
  slices: readonly TraceEvent[],
  endUs: number,
): Generator<TraceEvent> {
  yield { ph: "M", name: "process_name", pid: 0, tid: 0, args: { name: "analysis" } };
  for (const node of nodes) {
    const { id, pid, name, origin } = node;
    const track = { pid: id, tid: id };
    yield { ph: "M", name: "process_name", ...track, args: { name: `${name} ${pid}` } };
    yield { ph: "M", name: "process_labels", ...track, args: { labels: origin } };
    yield { ph: "M", name: "process_sort_index", ...track, args: { sort_index: sortIndex(origin) + id } };
    const untilUs = node.ended === undefined ? endUs : Date.parse(node.ended) * MICROSECONDS + (MICROSECONDS - 1);
    yield makeSlice(id, name, "process", Date.parse(node.began) * MICROSECONDS, Math.max(untilUs, Date.parse(node.began) * MICROSECONDS)); // prettier-ignore
  }
  yield* slices;
  yield* listActs(folder);
}

/** The acts, in a reading of their own: a million of them are not kept. */
function* listActs(folder: string): Generator<TraceEvent> {
  const history = new ProcessHistory();
  const clock = new TraceClock();
  for (const event of readEvents(folder)) {
    const id = history.add(event)?.id ?? 0;
    const ts = clock.read(event);
    if (/^process\.(created|executed|ended)$/.test(event.type)) continue;
    const args = Object.fromEntries(Object.entries(event).filter(([name]) => !LEFT_OUT.has(name)));
    yield { ph: "i", s: "t", name: event.type, cat: event.type.split(".")[0]!, pid: id, tid: id, ts, args };
  }
}

function makeSlice(id: number, name: string, cat: string, sinceUs: number, untilUs: number): TraceEvent {
  return { ph: "X", name, cat, pid: id, tid: id, ts: sinceUs, dur: untilUs - sinceUs };
}

/** The target's tracks stand first. */
function sortIndex(origin: Origin): number {
  return origin === "target" || origin === "adopted" ? 0 : 1_000_000;
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
