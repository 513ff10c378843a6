import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createNavigatorLayer } from "../../verdict/navigator-layer";
import { AnalysisError } from "../../errors";
import { readRecord } from "../analysis-record";
import type { AnalysisReport } from "../report/report";
import { writeJson } from "../report/write-json";
import { createMispEvent } from "./misp-event";
import { writePerfettoTrace } from "./perfetto-trace";
import { printReport } from "./print-report";
import { zipAnalysis } from "./zip-analysis";

/** The forms that an analysis can be exported in, with the ends of their files' names. */
export const EXPORT_FORMS = {
  perfetto: ".pftrace",
  misp: ".misp.json",
  navigator: ".navigator.json",
  pdf: ".pdf",
  zip: ".zip",
} as const;
export type ExportForm = keyof typeof EXPORT_FORMS;

/**
 * Writes an analysis in the form of another tool.
 *
 * @param folder of the analysis
 * @param file is written; one that is there is replaced
 * @throws AnalysisError when the analysis has not what the form needs; Error of node:fs
 */
export async function exportAnalysis(
  folder: string,
  form: ExportForm,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  if (form === "zip") return zipAnalysis(folder, file, signal);
  if (form === "pdf") return printReport(folder, file, signal);
  if (form === "perfetto") return writePerfettoTrace(folder, file);
  const report = readReport(folder);
  if (form === "misp") return writeJson(file, createMispEvent(report));
  const { id } = readRecord(folder);
  if (report.verdict === undefined)
    throw new AnalysisError(
      `analysis ${id} has no verdict, so no techniques; a layer needs an analysis that was judged`,
    );
  return writeJson(file, createNavigatorLayer(report.verdict, `Analysis ${id}`));
}

function readReport(folder: string): AnalysisReport {
  const file = join(folder, "report.json");
  try {
    return JSON.parse(readFileSync(file, "utf8")) as AnalysisReport;
  } catch (error) {
    throw new AnalysisError(`${file} cannot be read: ${(error as Error).message}; without a report there is nothing to export`); // prettier-ignore
  }
}
