import { writeFileSync } from "node:fs";
import type { Act } from "../../lab/analysis/report/gather-events";
import { isOfTarget } from "../../lab/analysis/report/process-tree";
import { type ReportSummary, summariseReport, SUMMARY_MEMBERS } from "../../lab/analysis/report/report-summary";
import { createLiteReport, LITE_MEMBERS } from "../cape/lite-report";
import { readReport } from "./read-report";

/** Makes the summary of a report. @returns undefined when there is no report */
export function summarise(folder: string): ReportSummary | undefined {
  const report = readReport(folder, SUMMARY_MEMBERS);
  return report && summariseReport(report);
}

/** Writes the report of CAPE's clients. @returns whether there was a report */
export function writeLite(folder: string, file: string): boolean {
  const report = readReport(folder, LITE_MEMBERS, isWanted);
  if (report !== undefined) writeFileSync(file, JSON.stringify(createLiteReport(report)));
  return report !== undefined;
}

/** Keeps no acts of the system, about which none of those asks that read so. */
export function isWanted(member: string, element: unknown): boolean {
  if (member !== "network" && member !== "files" && member !== "control") return true;
  const { origin } = element as Act;
  return origin === undefined || isOfTarget(origin);
}
