import type { AnalysisRecord } from "../../lab/analysis/analysis-record";
import type { AnalysisComparison } from "../../lab/analysis/compare/compare-analyses";
import type { ExportForm } from "../../lab/analysis/export/export-analysis";
import type { NetworkResults } from "../../lab/analysis/report/module-results";
import type { ReportSummary } from "../../lab/analysis/report/report-summary";
import { type EventFilter, type EventPage, readEventPage } from "./event-page";
import type { MemoryLook } from "./look-memory";
import type { ProcessDetails } from "./process-details";
import type { Timeline } from "./timeline";

/** Work on whole analyses, which may be large: it is done in a thread, so that the server answers in the meantime. */
export type Work =
  | { readonly kind: "events"; readonly folder: string; readonly filter: EventFilter; readonly after: number; readonly limit: number } // prettier-ignore
  | { readonly kind: "timeline"; readonly folder: string }
  | { readonly kind: "compare"; readonly folders: readonly [string, string] }
  | { readonly kind: "summary"; readonly folder: string }
  | { readonly kind: "process"; readonly folder: string; readonly pid: number }
  | { readonly kind: "network"; readonly folder: string }
  | { readonly kind: "memory"; readonly core: string; readonly address: bigint | undefined }
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
  readonly timeline: Timeline;
  readonly compare: AnalysisComparison;
  /** Undefined when there is no report. */
  readonly summary: ReportSummary | undefined;
  readonly process: ProcessDetails;
  readonly network: NetworkResults;
  /** Undefined when there is nothing to see. */
  readonly memory: MemoryLook | undefined;
  readonly export: null;
  /** Whether there was a report. */
  readonly lite: boolean;
  /** How many analyses were added. */
  readonly index: number;
  readonly abandoned: null;
}

/** Does a work. The parts for all but the commonest are loaded when they are needed: a thread is ready sooner, and smaller. @throws Error of the kind of the work */
export async function doWork(work: Work): Promise<WorkResults[Work["kind"]]> {
  switch (work.kind) {
    case "events":
      return readEventPage(work.folder, work.filter, work.after, work.limit);
    case "timeline":
      return (await import("./timeline.js")).readTimeline(work.folder);
    case "process":
      return (await import("./process-details.js")).readProcessDetails(work.folder, work.pid);
    case "network":
      return (await import("../../lab/analysis/report/module-results.js")).readNetworkResults(work.folder);
    case "memory":
      return (await import("./look-memory.js")).lookIntoMemory(work.core, work.address);
    case "compare":
      return (await import("../../lab/analysis/compare/compare-analyses.js")).compareAnalyses(work.folders);
    case "export":
      await (await import("../../lab/analysis/export/export-analysis.js")).exportAnalysis(work.folder, work.form, work.file, new AbortController().signal); // prettier-ignore
      return null;
    case "summary":
      return (await import("./report-work.js")).summarise(work.folder);
    case "lite":
      return (await import("./report-work.js")).writeLite(work.folder, work.file);
    case "index":
      return (await import("./database-work.js")).indexMissing(work.labFolder);
    case "abandoned":
      (await import("./database-work.js")).reportLeft(work.labFolder, work.folder, work.record);
      return null;
  }
}
