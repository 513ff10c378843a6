import { join } from "node:path";
import type { AnalysisEvent } from "../../lab/analysis/event-log";
import { readCores } from "../../lab/analysis/report/artefacts";
import { type CallStack, readCallStacks } from "./call-stacks";
import { type CalledProcess, readCalls } from "../../lab/analysis/report/module-results";
import { type CoreFile, readCoreFile } from "./core-file";
import { readEventPage } from "./event-page";

const MOST_EVENTS = 100;
const MOST_STACKS = 200;
const MOST_MAPPINGS = 2_000;
const MOST_THREADS = 200;
/** Of one pid: several processes may have had it. */
const MOST_CORES = 5;

/** The memory of a process at its end. */
export interface ProcessMemory extends Omit<CoreFile, "segments"> {
  /** Its file, relative to the folder of the analysis. */
  readonly file: string;
}

/** What the folder of an analysis has on one process, beside the report. */
export interface ProcessDetails {
  /** The kernel's calls that it made, as the module syscalls has counted them. */
  readonly systemCalls: CalledProcess | undefined;
  /** The functions of libraries that it called, as the module apicalls has. */
  readonly libraryCalls: CalledProcess | undefined;
  /** The functions that have led to its acts and its end. */
  readonly stacks: readonly CallStack[];
  /** Its memory, where it was kept. */
  readonly memory: readonly ProcessMemory[];
  /** Its first events. */
  readonly events: readonly AnalysisEvent[];
}

/** Reads what is known of a process. @param folder the folder of the analysis */
export function readProcessDetails(folder: string, pid: number): ProcessDetails {
  const find = (file: "syscalls.json" | "apicalls.json") =>
    readCalls(folder, file).find((called) => called.pid === pid);
  const cores = readCores(folder).filter((each) => each.pid === pid && each.core !== undefined);
  return {
    ...{ systemCalls: find("syscalls.json"), libraryCalls: find("apicalls.json") },
    stacks: readCallStacks(folder).filter((each) => each.pid === pid).slice(0, MOST_STACKS), // prettier-ignore
    memory: cores.slice(0, MOST_CORES).flatMap(({ core }) => readMemory(folder, `cores/${core}`)),
    events: readEventPage(folder, { pid }, 0, MOST_EVENTS).events,
  };
}

/** Reads the index of a core; nothing where its file is gone, or damaged. */
function readMemory(folder: string, file: string): ProcessMemory[] {
  try {
    const core = readCoreFile(join(folder, file));
    if (core === undefined) return [];
    const { signal, threads, mappings } = core;
    return [{ file, signal, threads: threads.slice(0, MOST_THREADS), mappings: mappings.slice(0, MOST_MAPPINGS) }];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
