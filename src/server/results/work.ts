import { writeFileSync } from "node:fs";
import { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder, getDatabaseFile } from "../../lab/analysis/analysis-places";
import { type AnalysisRecord, readRecord } from "../../lab/analysis/analysis-record";
import { type AnalysisComparison, compareAnalyses } from "../../lab/analysis/compare/compare-analyses";
import { reportAbandoned } from "../../lab/analysis/end-abandoned";
import { type ExportForm, exportAnalysis } from "../../lab/analysis/export/export-analysis";
import type { Act } from "../../lab/analysis/report/gather-events";
import { isOfTarget } from "../../lab/analysis/report/process-tree";
import { type ReportSummary, summariseReport, SUMMARY_MEMBERS } from "../../lab/analysis/report/report-summary";
import { AnalysisIndex, type IndexedReport } from "../../lab/analysis/search/analysis-index";
import { createLiteReport, LITE_MEMBERS } from "../cape/lite-report";
import { type EventFilter, type EventPage, readEventPage } from "./event-page";
import { type ProcessDetails, readProcessDetails } from "./process-details";
import { readReport } from "./read-report";

const INDEXED = ["verdict", "processes", "knowsTarget", "network", "control", "files"] as const;
const NO_REPORT: IndexedReport = { verdict: undefined, processes: [], knowsTarget: true, network: [], control: [], files: [] }; // prettier-ignore

/** Work on whole analyses, which may be large: it is done in a thread, so that the server answers in the meantime. */
export type Work =
  | { readonly kind: "events"; readonly folder: string; readonly filter: EventFilter; readonly after: number; readonly limit: number } // prettier-ignore
  | { readonly kind: "compare"; readonly folders: readonly [string, string] }
  | { readonly kind: "summary"; readonly folder: string }
  | { readonly kind: "process"; readonly folder: string; readonly pid: number }
  | { readonly kind: "export"; readonly folder: string; readonly form: Exclude<ExportForm, "zip">; readonly file: string } // prettier-ignore
  | { readonly kind: "lite"; readonly folder: string; readonly file: string }
  | { readonly kind: "index"; readonly labFolder: string }
  | {
      readonly kind: "abandoned";
      readonly labFolder: string;
      readonly folder: string;
      readonly record: AnalysisRecord;
    };

/** The results of works, by their kinds. */
export interface WorkResults {
  readonly events: EventPage;
  readonly compare: AnalysisComparison;
  /** Undefined when there is no report. */
  readonly summary: ReportSummary | undefined;
  readonly process: ProcessDetails;
  readonly export: null;
  /** Whether there was a report. */
  readonly lite: boolean;
  /** How many analyses were added. */
  readonly index: number;
  readonly abandoned: null;
}

/** Does a work. @throws Error of the kind of the work */
export async function doWork(work: Work): Promise<WorkResults[Work["kind"]]> {
  switch (work.kind) {
    case "events":
      return readEventPage(work.folder, work.filter, work.after, work.limit);
    case "compare":
      return compareAnalyses(work.folders);
    case "summary": {
      const report = readReport(work.folder, SUMMARY_MEMBERS);
      return report && summariseReport(report);
    }
    case "process":
      return readProcessDetails(work.folder, work.pid);
    case "export":
      await exportAnalysis(work.folder, work.form, work.file, new AbortController().signal);
      return null;
    case "lite": {
      const report = readReport(work.folder, LITE_MEMBERS, isWanted);
      if (report !== undefined) writeFileSync(work.file, JSON.stringify(createLiteReport(report)));
      return report !== undefined;
    }
    case "index":
      return withDatabase(work.labFolder, (database) => indexMissing(work.labFolder, database));
    case "abandoned":
      withDatabase(work.labFolder, (database) => reportAbandoned(database, work.folder, work.record));
      return null;
  }
}

/** Keeps no acts of the system, which none of those that read so asks about. */
function isWanted(member: string, element: unknown): boolean {
  if (member !== "network" && member !== "files" && member !== "control") return true;
  const { origin } = element as Act;
  return origin === undefined || isOfTarget(origin);
}

function withDatabase<Result>(labFolder: string, use: (database: AnalysisDatabase) => Result): Result {
  const database = new AnalysisDatabase(getDatabaseFile(labFolder));
  try {
    return use(database);
  } finally {
    database.close();
  }
}

/** Adds the analyses to the index that were made before there was one. */
function indexMissing(labFolder: string, database: AnalysisDatabase): number {
  const index = new AnalysisIndex(database);
  let count = 0;
  for (const id of index.listMissing()) {
    const folder = getAnalysisFolder(labFolder, id);
    try {
      index.add(folder, { ...readRecord(folder), id }, readReport(folder, INDEXED, isWanted) ?? NO_REPORT);
      count++;
    } catch {
      // It has left no record, so there is nothing by which it could be found.
    }
  }
  return count;
}
