import { type AnalysisEvent, readEvents } from "../event-log";
import { readProgramHashes, withProgramHash } from "../target/executed-programs";
import { isOfTarget, type Origin, ProcessHistory, type ProcessNode } from "./process-tree";

/** An event of an analysis with the process that it is of. */
export interface FollowedEvent {
  readonly event: AnalysisEvent;
  /** Undefined when the event names no process, or one that began before the analysis. */
  readonly doer: ProcessNode | undefined;
  /** Set when the process was the target's, or acted for it, at that moment: what it did before is not the target's. */
  readonly origin: "target" | "adopted" | undefined;
}

/** Takes the events of an analysis, one after the other. */
export interface EventReader {
  see(event: FollowedEvent): void;
}

/**
 * Reads the events of an analysis once, in the order in which they happened, for all that ask about them. Executions have the hash of
 * their file.
 *
 * @param folder the folder of the analysis
 * @returns the processes, with who caused each
 */
export function followEvents(folder: string, readers: readonly EventReader[]): ProcessHistory {
  const history = new ProcessHistory();
  const hashes = readProgramHashes(folder);
  for (const read of readEvents(folder)) {
    const event = withProgramHash(read, hashes);
    const doer = history.add(event);
    const origin = isOfTarget(doer?.origin) ? (doer!.origin as "target" | "adopted") : undefined;
    for (const reader of readers) reader.see({ event, doer, origin });
  }
  history.decideOrigins();
  return history;
}

/**
 * Decides, when all processes are known, whose an act was.
 *
 * @param origin what was known of it at its moment
 */
export function decideOrigin(doer: ProcessNode | undefined, origin: FollowedEvent["origin"]): Origin {
  if (origin !== undefined) return origin;
  // A process that became the target later was what launched it.
  if (doer?.origin === "target") return "rebox";
  return doer?.origin === "rebox" ? "rebox" : "system";
}
