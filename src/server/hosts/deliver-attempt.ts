import type { AnalysisEntry } from "../../lab/analysis/analysis-database";
import type { Attempt, AttemptResult } from "../../lab/cluster/analysis-queue";
import type { ArtefactStore } from "../../lab/cluster/artefact-store";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { StoredFileError } from "../../lab/errors";
import { putResults, removeResults } from "./carry-files";

/** An attempt whose analysis has ended on this host. */
export interface EndedAttempt {
  readonly attempt: Attempt;
  /** The analysis in the lab of this host; undefined when somebody has removed it there. */
  readonly entry: AnalysisEntry | undefined;
  /** The folder of its results, absolute. */
  readonly folder: string;
  /** Another attempt has the analysis by now: nothing is delivered. */
  readonly isLost: boolean;
}

/** The words of the system and of SQLite for a disk that is full. */
const DISK_FULL = /\bENOSPC\b|database or disk is full/;

/**
 * Delivers an attempt: its files, then the row, and then it is done; what others have delivered in the meantime stays. An attempt that was
 * lost here is given up. It can be done again after a kill at any moment.
 */
export async function deliverAttempt(
  { queue, store }: Cluster,
  { attempt, entry, folder, isLost }: EndedAttempt,
): Promise<void> {
  const { outcome = "lost", reason = "its analysis was removed" }: Partial<AnalysisEntry> = entry ?? {};
  // Asked first: who has ended the analysis has no lease any more, and would take itself for lost.
  let isTaken = await queue.hasWon(attempt);
  // A full disk is the host's trouble: elsewhere there is room.
  const isGivenUp = outcome === "lost" || (outcome === "failed" && DISK_FULL.test(reason));
  if (!isTaken && !isLost && isGivenUp) await queue.fail(attempt, `on ${attempt.host}: ${reason}`);
  else if (!isTaken && !isLost) isTaken = await queue.finish(attempt, await putAll(store, attempt, folder, { outcome, reason: entry?.reason })); // prettier-ignore
  await removeResults(store, attempt.id, isTaken ? { but: attempt.attempt } : { attempt: attempt.attempt });
}

/** Puts the files into the store. An analysis whose files nobody could collect has failed. */
async function putAll(
  store: ArtefactStore,
  { id, attempt }: Attempt,
  folder: string,
  result: Omit<AttemptResult, "files">,
): Promise<AttemptResult> {
  try {
    return { ...result, files: await putResults(store, folder, id, attempt) };
  } catch (error) {
    if (!(error instanceof StoredFileError)) throw error;
    return { outcome: "failed", reason: error.message, files: [] };
  }
}
