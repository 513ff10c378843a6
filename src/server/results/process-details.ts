import type { AnalysisEvent } from "../../lab/analysis/event-log";
import { type CalledProcess, readCalls } from "../../lab/analysis/report/module-results";
import { readEventPage } from "./event-page";

const MOST_EVENTS = 100;

/** What the folder of an analysis has on one process, beside the report. */
export interface ProcessDetails {
  /** The kernel's calls that it made, as the module syscalls has counted them. */
  readonly systemCalls: CalledProcess | undefined;
  /** The functions of libraries that it called, as the module apicalls has. */
  readonly libraryCalls: CalledProcess | undefined;
  /** Its first events. */
  readonly events: readonly AnalysisEvent[];
}

/** Reads what is known of a process. @param folder the folder of the analysis */
export function readProcessDetails(folder: string, pid: number): ProcessDetails {
  const find = (file: "syscalls.json" | "apicalls.json") =>
    readCalls(folder, file).find((called) => called.pid === pid);
  return {
    ...{ systemCalls: find("syscalls.json"), libraryCalls: find("apicalls.json") },
    events: readEventPage(folder, { pid }, 0, MOST_EVENTS).events,
  };
}
