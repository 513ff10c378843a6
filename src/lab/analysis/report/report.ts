import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type AnalysisEvent, readEvents } from "../event-log";
import type { AnalysisRecord } from "../analysis-record";
import { type ModuleResults, readModuleResults } from "./module-results";
import { buildProcessTree, type ProcessNode } from "./process-tree";

/** A file that an analysis has left. */
export interface ReportFile {
  /** Relative to the folder of the analysis. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

/** The content of report.json. */
export interface AnalysisReport {
  readonly analysis: Omit<AnalysisRecord, "log">;
  readonly processes: readonly ProcessNode[];
  /** Connections, and files written, removed and renamed; each act once, in order. */
  readonly network: readonly AnalysisEvent[];
  readonly files: readonly AnalysisEvent[];
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

/** The most events that a report shows; events.jsonl has them all. */
export const TIMELINE_LIMIT = 5_000;

/**
 * Gathers the report of an analysis from what is in its folder.
 *
 * @param folder the folder of the analysis
 * @param record how it went
 */
export function gatherReport(folder: string, record: AnalysisRecord): AnalysisReport {
  const { log, ...analysis } = record;
  const timeline: AnalysisEvent[] = [];
  const acts: AnalysisEvent[] = [];
  const processes: AnalysisEvent[] = [];
  const counts: Record<string, number> = {};
  for (const event of readEvents(folder)) {
    counts[event.type] = (counts[event.type] ?? 0) + 1;
    if (timeline.length < TIMELINE_LIMIT) timeline.push(event);
    if (event.type.startsWith("process.")) processes.push(event);
    else if (/^(file|network)\.|^screenshot$/.test(event.type)) acts.push(event);
  }
  return {
    analysis,
    processes: buildProcessTree(processes),
    network: onlyFirst(acts.filter(({ type }) => type.startsWith("network."))),
    files: onlyFirst(acts.filter(({ type }) => type.startsWith("file."))),
    modules: readModuleResults(folder),
    screenshots: acts.flatMap(({ type, file }) => (type === "screenshot" && typeof file === "string" ? [file] : [])),
    timeline,
    counts,
    log,
    left: listFiles(folder, ""),
  };
}

/** Leaves out what is the same but for its time. */
function onlyFirst(events: readonly AnalysisEvent[]): AnalysisEvent[] {
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
