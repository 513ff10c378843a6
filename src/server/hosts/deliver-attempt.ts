import { isDiskFull } from "../../config/failure-code";
import type { AnalysisEntry } from "../../lab/analysis/analysis-database";
import { readRecord } from "../../lab/analysis/analysis-record";
import type { Attempt, AttemptResult } from "../../lab/cluster/analysis-queue";
import type { ArtefactStore } from "../../lab/cluster/artefact-store";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { StoredFileError } from "../../lab/errors";
import { putResults, removeResults } from "./carry-files";

/** The codes of GoldenStateError, and of a machine that somebody has started by hand. */
const OF_HOST = ["REBOX_GOLDEN_STATE", "REBOX_MACHINE_UNEXPECTED_STATE"];

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

/**
 * Delivers an attempt: its files, then the row, and then it is done; what others have delivered in the meantime stays. An attempt that was
 * lost here is given up. It can be done again after a kill at any moment.
 */
export async function deliverAttempt(
  { queue, store }: Cluster,
  { attempt, entry, folder, isLost }: EndedAttempt,
): Promise<void> {
  const { outcome = "lost", reason = "its analysis was removed" }: Partial<AnalysisEntry> = entry ?? {};
  const isGivenUp = outcome === "lost" || (outcome === "failed" && isFaultOfHost(folder));
  // Asked first: who has ended the analysis has no lease any more, and would take itself for lost.
  let isTaken = await queue.hasWon(attempt);
  if (!isTaken && !isLost && isGivenUp) await queue.fail(attempt, `on ${attempt.host}: ${reason}`);
  else if (!isTaken && !isLost) isTaken = await queue.finish(attempt, await putAll(store, attempt, folder, { outcome, reason: entry?.reason })); // prettier-ignore
  await removeResults(store, attempt.id, isTaken ? { but: attempt.attempt } : { attempt: attempt.attempt });
}

/** Returns whether an analysis has failed by what another host may have: room on its disk, the golden state that was asked for, or a machine that is off. */
function isFaultOfHost(folder: string): boolean {
  let code: string | undefined;
  try {
    ({ code } = readRecord(folder));
  } catch {
    // It has left none, or half of one.
    return false;
  }
  return isDiskFull({ code }) || OF_HOST.includes(code ?? "");
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
