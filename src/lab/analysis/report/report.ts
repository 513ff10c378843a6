import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { AnalysisRecord } from "../analysis-record";
import { findSampleFacts } from "../../sample/sample-file";
import type { SampleFacts } from "../../sample/sample-facts";
import { type Artefact, type CodeArtefact, type CoreArtefact, readArtefacts, readCode, readCores } from "./artefacts";
import { type GatheredEvents, gatherEvents } from "./gather-events";
import { type ModuleResults, readModuleResults } from "./module-results";
import { PARTS_FOLDER } from "./report-parts";

/** A file that an analysis has left. */
export interface ReportFile {
  /** Relative to the folder of the analysis. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

/** The content of report.json. */
export interface AnalysisReport extends GatheredEvents {
  readonly analysis: Omit<AnalysisRecord, "log">;
  /** The facts of the target's own bytes; undefined for a command. */
  readonly sample: SampleFacts | undefined;
  /** Files that the target wrote, each content of a path once. */
  readonly artefacts: readonly Artefact[];
  /** The memory of the target's processes at their ends. */
  readonly cores: readonly CoreArtefact[];
  /** Code that it executed after it was written at run time. */
  readonly code: readonly CodeArtefact[];
  /** The results of auxiliary modules. */
  readonly modules: ModuleResults;
  readonly log: AnalysisRecord["log"];
  readonly left: readonly ReportFile[];
}

/**
 * Gathers the report of an analysis from what is in its folder.
 *
 * @param folder the folder of the analysis
 * @param record how it went
 * @param events what gatherEvents() has gathered
 */
export function gatherReport(folder: string, record: AnalysisRecord, events = gatherEvents(folder)): AnalysisReport {
  const { log, ...analysis } = record;
  return {
    ...{
      analysis,
      ...events,
      sample: findSampleFacts(folder),
      artefacts: readArtefacts(folder),
      cores: readCores(folder),
      code: readCode(folder),
      modules: readModuleResults(folder),
      log,
    },
    left: listFiles(folder, ""),
  };
}

/** Lists the files of an analysis, without the parts of its report. @param below a folder in it, "" for all */
export function listFiles(folder: string, below: string): ReportFile[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(below, entry.name);
      if (entry.isDirectory()) return path === PARTS_FOLDER ? [] : listFiles(folder, path);
      return entry.isFile() ? [{ path, size: statSync(join(folder, path)).size }] : [];
    });
}
