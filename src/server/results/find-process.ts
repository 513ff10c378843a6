import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import type { ReportedProcess } from "../../lab/analysis/report/gather-events";
import { findSummary, type ReportSummary } from "../../lab/analysis/report/report-summary";
import { NotThereError } from "../errors";
import type { ServerParts } from "../server-parts";
import type { ProcessDetails } from "./process-details";

/** A process of an analysis, with what is known of it. */
export interface FoundProcess {
  readonly summary: ReportSummary;
  readonly process: ReportedProcess;
  readonly details: ProcessDetails;
}

/** Reads the processes of an analysis that its page shows. @param id of an analysis that there is */
export async function listProcesses({ labFolder, work }: ServerParts, id: number): Promise<ReportSummary | undefined> {
  const folder = getAnalysisFolder(labFolder, id);
  // Older reports have no summary beside them.
  return findSummary(folder) ?? (await work.do({ kind: "summary", folder }));
}

/** Reads what is known of one process. @param number its place in the order of beginnings @throws NotThereError */
export async function getProcess(parts: ServerParts, id: number, number: number): Promise<FoundProcess> {
  const summary = await listProcesses(parts, id);
  const process = summary?.processes.find((each) => each.id === number);
  if (summary === undefined || process === undefined) throw new NotThereError(`analysis ${id} has no process ${number} among those that its page shows`); // prettier-ignore
  const folder = getAnalysisFolder(parts.labFolder, id);
  return { summary, process, details: await parts.work.do({ kind: "process", folder, pid: process.pid }) };
}
