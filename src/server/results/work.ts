import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder, getDatabaseFile } from "../../lab/analysis/analysis-places";
import { type AnalysisRecord, readRecord } from "../../lab/analysis/analysis-record";
import { type AnalysisComparison, compareAnalyses } from "../../lab/analysis/compare/compare-analyses";
import { reportAbandoned } from "../../lab/analysis/end-abandoned";
import { type ExportForm, exportAnalysis } from "../../lab/analysis/export/export-analysis";
import { findJson } from "../../lab/analysis/report/module-results";
import { type ReportSummary, summariseReport } from "../../lab/analysis/report/report-summary";
import type { AnalysisReport } from "../../lab/analysis/report/report";
import { AnalysisIndex } from "../../lab/analysis/search/analysis-index";
import { createLiteReport } from "../cape/lite-report";
import { type EventFilter, type EventPage, readEventPage } from "./event-page";

/** Work on whole analyses, which may be large: it is done in a thread, so that the server answers in the meantime. */
export type Work =
  | { readonly kind: "events"; readonly folder: string; readonly filter: EventFilter; readonly after: number; readonly limit: number } // prettier-ignore
  | { readonly kind: "compare"; readonly folders: readonly [string, string] }
  | { readonly kind: "summary"; readonly folder: string }
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
      const report = findReport(work.folder);
      return report && summariseReport(report);
    }
    case "export":
      await exportAnalysis(work.folder, work.form, work.file, new AbortController().signal);
      return null;
    case "lite": {
      const report = findReport(work.folder);
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

function findReport(folder: string): AnalysisReport | undefined {
  return findJson(join(folder, "report.json")) as AnalysisReport | undefined;
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
      const report = findReport(folder);
      index.add(folder, readRecord(folder), { verdict: report?.verdict, network: report?.network ?? [] });
      count++;
    } catch {
      // It has left no record, so there is nothing by which it could be found.
    }
  }
  return count;
}
