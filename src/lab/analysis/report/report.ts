import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type AnalysisEvent, readEvents } from "../event-log";
import type { AnalysisRecord } from "../analysis-record";
import type { Verdict } from "../../verdict/verdict";
import { type Artefact, readArtefacts } from "./artefacts";
import { type ModuleResults, readModuleResults } from "./module-results";
import { isOfTarget, type Origin, ProcessHistory, type ProcessNode } from "./process-tree";

/** A file that an analysis has left. */
export interface ReportFile {
  /** Relative to the folder of the analysis. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

/** A process as report.json has it. The list is flat: a chain of processes may be longer than any depth that readers can take. */
export interface ReportedProcess extends Omit<ProcessNode, "parent" | "children"> {
  /** The `id` of its parent, when that began in the analysis too. */
  readonly parent: number | undefined;
}

/** Something that a process did. */
export interface Act extends AnalysisEvent {
  /** Who did it; undefined when it was not seen which processes are the target's. */
  readonly origin: Origin | undefined;
}

/** The content of report.json. */
export interface AnalysisReport {
  readonly analysis: Omit<AnalysisRecord, "log">;
  /** The verdict of signatures and rules on the target; undefined where none were asked. */
  readonly verdict: Verdict | undefined;
  /** In the order of their beginnings. */
  readonly processes: readonly ReportedProcess[];
  /** It was seen which processes are the target's: each process and act has its origin. */
  readonly knowsTarget: boolean;
  /** Connections, and files written, removed and renamed; each act once, in order. */
  readonly network: readonly Act[];
  readonly files: readonly Act[];
  /** Acts on other processes, on the own rights and memory, and on the kernel. */
  readonly control: readonly Act[];
  /** Files that the target wrote, each content of a path once. */
  readonly artefacts: readonly Artefact[];
  /** The results of auxiliary modules. */
  readonly modules: ModuleResults;
  /** Paths of pictures, relative to the folder. */
  readonly screenshots: readonly string[];
  /** Every event in its order, up to a bound. */
  readonly timeline: readonly AnalysisEvent[];
  /** The number of events of each type, including those that the timeline leaves out. */
  readonly counts: Readonly<Record<string, number>>;
  readonly log: AnalysisRecord["log"];
  readonly left: readonly ReportFile[];
}

/** The most events that a report shows of the target, and again of all others; events.jsonl has them all. */
export const TIMELINE_LIMIT = 5_000;

/**
 * Gathers the report of an analysis from what is in its folder.
 *
 * @param folder the folder of the analysis
 * @param record how it went
 * @param verdict what signatures and rules say
 */
export function gatherReport(folder: string, record: AnalysisRecord, verdict?: Verdict): AnalysisReport {
  const { log, ...analysis } = record;
  const timeline: AnalysisEvent[] = [];
  const acts: { event: AnalysisEvent; doer: ProcessNode | undefined }[] = [];
  const history = new ProcessHistory();
  const counts: Record<string, number> = {};
  // The system's events, such as those of its boot, do not take the place of the target's.
  const shown = { target: 0, system: 0 };
  for (const event of readEvents(folder)) {
    counts[event.type] = (counts[event.type] ?? 0) + 1;
    if (event.type.startsWith("process.")) history.add(event);
    const doer = history.findDoer(event.pid);
    const whose = isOfTarget(doer?.origin) ? "target" : "system";
    if (++shown[whose] <= TIMELINE_LIMIT) timeline.push(event);
    if (isAct(event.type)) acts.push({ event, doer });
  }
  history.decideOrigins();
  const { knowsTarget } = history;
  const listActs = (...kinds: string[]) =>
    onlyFirst(
      acts
        .filter(({ event }) => kinds.some((kind) => event.type.startsWith(kind)))
        // One that was told before the beginning of its process finds it now.
        .map(({ event, doer = history.findDoer(event.pid) }) => ({
          ...{ ...event, origin: knowsTarget ? (doer?.origin ?? "system") : undefined },
        })),
    );
  return {
    analysis,
    verdict,
    processes: history.nodes.map(({ children: _children, parent, ...node }) => ({ ...node, parent: parent?.id })),
    knowsTarget,
    network: listActs("network."),
    files: listActs("file."),
    control: listActs("process.", "kernel."),
    artefacts: readArtefacts(folder),
    modules: readModuleResults(folder),
    screenshots: acts.flatMap(({ event: { type, file } }) =>
      type === "screenshot" && typeof file === "string" ? [file] : [],
    ),
    timeline,
    counts,
    log,
    left: listFiles(folder, ""),
  };
}

/** Tells acts from the beginnings and ends of processes, which the tree has, and from what modules tell of themselves. */
function isAct(type: string): boolean {
  if (type.startsWith("process.")) return !/^process\.(created|executed|ended|adopted)$/.test(type);
  return /^(file|network|kernel)\.|^screenshot$/.test(type);
}

/** Leaves out what is the same but for its time. */
function onlyFirst(events: readonly Act[]): Act[] {
  const seen = new Set<string>();
  return events.filter(({ time: _time, ...facts }) => {
    const key = JSON.stringify(facts);
    return !seen.has(key) && seen.add(key);
  });
}

function listFiles(folder: string, below: string): ReportFile[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(below, entry.name);
      if (entry.isDirectory()) return listFiles(folder, path);
      return entry.isFile() ? [{ path, size: statSync(join(folder, path)).size }] : [];
    });
}
