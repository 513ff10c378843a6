import { join } from "node:path";
import { writeWhole } from "../../machinery/records/machine-file";
import { createNavigatorLayer } from "../../verdict/navigator-layer";
import type { AnalysisRecord } from "../analysis-record";
import { gatherEvents } from "./gather-events";
import { gatherReport } from "./report";
import { renderReportPage } from "./report-page";
import { SUMMARY_FILE, summariseReport } from "./report-summary";
import { ReportParts } from "./report-parts";
import { writeJson } from "./write-json";

/**
 * Writes report.json and report.html of an analysis from what is in its folder, and navigator.json where a technique was found.
 *
 * @param events what gatherEvents() has gathered
 */
export function writeReport(folder: string, record: AnalysisRecord, events = gatherEvents(folder)): void {
  const { verdict } = events;
  if (verdict !== undefined && verdict.findings.some(({ techniques }) => techniques.length > 0)) {
    const layer = createNavigatorLayer(verdict, `Analysis ${record.id}`);
    writeWhole(join(folder, "navigator.json"), `${JSON.stringify(layer, undefined, 2)}\n`);
  }
  const parts = new ReportParts(folder);
  const report = gatherReport(folder, record, events);
  writeJson(join(folder, "report.json"), report);
  writeWhole(join(folder, SUMMARY_FILE), JSON.stringify(summariseReport(report)));
  writeWhole(join(folder, "report.html"), renderReportPage(report, folder, parts));
}
