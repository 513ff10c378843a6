import { join } from "node:path";
import { writeWhole } from "../machinery/records/machine-file";
import type { AnalysisRecord } from "./analysis-record";
import { gatherReport } from "./report/report";
import { renderReportPage } from "./report/report-page";

/** Writes report.json and report.html of an analysis from what is in its folder. */
export function writeReport(folder: string, record: AnalysisRecord): void {
  const report = gatherReport(folder, record);
  writeWhole(join(folder, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  writeWhole(join(folder, "report.html"), renderReportPage(report, folder));
}
