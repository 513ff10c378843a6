import { join } from "node:path";
import type { Verdict } from "../../verdict/verdict";
import type { Artefact, CodeArtefact, CoreArtefact } from "./artefacts";
import type { ReportedProcess } from "./gather-events";
import { findJson } from "./module-results";
import { isOfTarget } from "./process-tree";
import type { AnalysisReport } from "./report";

/** The file with the summary, in the folder of an analysis. */
export const SUMMARY_FILE = "summary.json";

const MOST_PROCESSES = 500;
const MOST_ARTEFACTS = 500;

/** The part of a report that a page shows by itself: it stays small however much has happened. */
export interface ReportSummary {
  readonly analysis: AnalysisReport["analysis"];
  readonly verdict: Verdict | undefined;
  /** Of the target, or all where it was not seen which are. */
  readonly processes: readonly ReportedProcess[];
  readonly artefacts: readonly Artefact[];
  readonly cores: readonly CoreArtefact[];
  readonly code: readonly CodeArtefact[];
  readonly screenshots: readonly string[];
  /** The number of events of each type. */
  readonly counts: Readonly<Record<string, number>>;
  /** The numbers of acts of each kind. */
  readonly acts: { readonly network: number; readonly files: number; readonly control: number };
}

/** The members of a report that its summary is made of. */
export const SUMMARY_MEMBERS = ["analysis", "verdict", "processes", "knowsTarget", "artefacts", "cores", "code", "screenshots", "counts", "network", "files", "control"] as const; // prettier-ignore

/** Takes the part of a report that a page shows by itself. */
export function summariseReport(report: Pick<AnalysisReport, (typeof SUMMARY_MEMBERS)[number]>): ReportSummary {
  const { analysis, verdict, processes, knowsTarget, artefacts, cores, code, screenshots, counts } = report;
  const own = knowsTarget ? processes.filter(({ origin }) => isOfTarget(origin)) : processes;
  const count = (acts: AnalysisReport["files"]) =>
    acts.filter(({ origin }) => !knowsTarget || isOfTarget(origin)).length;
  return {
    ...{ analysis, verdict, screenshots, counts, processes: own.slice(0, MOST_PROCESSES) },
    ...{ artefacts: artefacts.slice(0, MOST_ARTEFACTS), cores: cores.slice(0, MOST_ARTEFACTS) },
    code: code.slice(0, MOST_ARTEFACTS),
    acts: { network: count(report.network), files: count(report.files), control: count(report.control) },
  };
}

/**
 * Finds the summary of a report, as it was written with the report: that of a million events takes seconds to read.
 *
 * @param folder the folder of the analysis
 */
export function findSummary(folder: string): ReportSummary | undefined {
  const summary = findJson(join(folder, SUMMARY_FILE)) as
    (Omit<ReportSummary, "code"> & Partial<ReportSummary>) | undefined;
  // One of before code was kept lacks it.
  return summary && { ...summary, code: summary.code ?? [] };
}
