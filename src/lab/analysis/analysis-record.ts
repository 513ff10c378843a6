import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AnalysisError } from "../errors";
import type { AuxiliaryStatus } from "../auxiliary/auxiliary-run";
import type { NameQuestion } from "./report/network/name-questions";
import { writeWhole } from "../machinery/records/machine-file";

/** The present phase of an analysis. The last three are ends. */
export type AnalysisPhase =
  | "queued"
  | "waiting for a machine"
  | "starting helpers"
  | "starting machine"
  | "delivering target"
  | "running"
  | "rebooting"
  | "running after the reboot"
  | "stopping helpers"
  | "dumping memory"
  | "stopping machine"
  | "reporting"
  | "ended";

/** The end of an analysis. */
export type AnalysisOutcome =
  /** The target ended, or the time was over: both are what was asked for. */
  | "finished"
  /** Somebody ended it early. */
  | "cancelled"
  /** It could not be done. */
  | "failed"
  /** rebox itself was killed; the next command noticed it. */
  | "lost";

/** The file that is analysed. */
export interface AnalysisTarget {
  /** Its name alone. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256: string;
}

/** A phase and the time of its beginning. */
export interface PhaseTime {
  readonly phase: AnalysisPhase;
  /** ISO 8601, UTC. */
  readonly began: string;
}

/** A line of an analysis' log. */
export interface LogLine {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
}

/** The network of an analysis. */
export interface NetworkRecord {
  /** "none", "simulated", "user" or "bridge:br0"; "own" is that of the machine's own arguments. */
  readonly network: string;
  /** Whether what the target sends can reach others than this lab. */
  readonly isOpen: boolean;
  /** Whether it was asked for by the analysis; else it is that of the machine's settings. */
  readonly isAsked: boolean;
  /** The problems that it had. */
  readonly problems: readonly string[];
  /** The names that were asked for, where a module has recorded the frames. */
  readonly names?: readonly NameQuestion[];
}

/** The content of analysis.json. Times are ISO 8601, UTC. */
export interface AnalysisRecord {
  readonly id: number;
  readonly machine: { readonly name: string; readonly machinery: string; readonly platform: string } | undefined;
  readonly target: AnalysisTarget | undefined;
  /** Undefined until a machine has been taken. */
  readonly network?: NetworkRecord | undefined;
  /** The command that is typed in the guest. */
  readonly command: string | undefined;
  readonly options: Readonly<Record<string, string>>;
  /** In seconds. */
  readonly timeoutS: number;
  readonly created: string;
  readonly ended: string | undefined;
  readonly phases: readonly PhaseTime[];
  /** Whether the target was executed; in a guest that is not looked into, whether it was asked for and not refused. */
  readonly hasRun?: boolean;
  readonly outcome: AnalysisOutcome | undefined;
  /** The reason for this end. */
  readonly reason: string | undefined;
  /** The code of the error by which it has failed, where it has one; "ENOSPC" where the disk was full then. */
  readonly code?: string | undefined;
  readonly auxiliary: readonly AuxiliaryStatus[];
  readonly log: readonly LogLine[];
}

/** Explains why an analysis has no verdict. */
export function explainNoVerdict({ hasRun }: Pick<AnalysisRecord, "hasRun">): string {
  return hasRun === false ? "the target did not run" : "no signatures were asked";
}

/** The name of the record in the folder of an analysis. */
export const RECORD_FILE = "analysis.json";

/** Writes the record of an analysis; readers see the old record or the new one, never half of it. */
export function writeRecord(folder: string, record: AnalysisRecord): void {
  writeWhole(join(folder, RECORD_FILE), `${JSON.stringify(record, undefined, 2)}\n`);
}

/**
 * Reads the record of an analysis.
 *
 * @throws Error when there is none, or it is no record
 */
export function readRecord(folder: string): AnalysisRecord {
  const file = join(folder, RECORD_FILE);
  const record = JSON.parse(readFileSync(file, "utf8")) as Partial<AnalysisRecord> | null;
  if (typeof record?.id !== "number" || !Array.isArray(record.phases)) {
    throw new AnalysisError(`${file} is not the record of an analysis`);
  }
  return record as AnalysisRecord;
}
