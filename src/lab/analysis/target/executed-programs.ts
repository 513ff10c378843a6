import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AnalysisEvent } from "../event-log";

/** The results of the module `processes`: the files that the target's processes have executed. */
const FILE = "programs.json";

/** The hash of a file at the time when it was executed, or the reason why there is none. */
export interface ProgramHash {
  readonly sha256?: string;
  readonly unhashed?: string;
}

/** Reads the hashes of the programs of an analysis, by their numbers; none where nothing of the kind was recorded. */
export function readProgramHashes(folder: string): ReadonlyMap<number, ProgramHash> {
  const hashes = new Map<number, ProgramHash>();
  try {
    const { programs } = JSON.parse(readFileSync(join(folder, FILE), "utf8")) as { programs: unknown };
    for (const each of Array.isArray(programs) ? (programs as Record<string, unknown>[]) : []) {
      const { program, sha256, left } = each;
      if (typeof program !== "number") continue;
      if (typeof sha256 === "string") hashes.set(program, { sha256 });
      else if (typeof left === "string") hashes.set(program, { unhashed: left });
    }
  } catch {
    // Not recorded, or damaged: the rest of the report is whole without it.
  }
  return hashes;
}

/** Gives the event of an execution the file's hash in place of the number under which programs.json has it. */
export function withProgramHash(event: AnalysisEvent, hashes: ReadonlyMap<number, ProgramHash>): AnalysisEvent {
  if (event.type !== "process.executed") return event;
  const { program, ...facts } = event;
  return typeof program === "number" ? { ...(facts as AnalysisEvent), ...hashes.get(program) } : event;
}
