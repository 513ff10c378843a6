import type { AnalysisEntry } from "../../lab/analysis/analysis-database";
import type { Attempt } from "../../lab/cluster/analysis-queue";
import type { Cluster } from "../../lab/cluster/open-cluster";
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

/**
 * Delivers an attempt: its files, then the row, and then it is done; what others have delivered in the meantime stays. An attempt that was
 * lost here is given up. It can be done again after a kill at any moment.
 */
export async function deliverAttempt(
  { queue, store }: Cluster,
  { attempt, entry, folder, isLost }: EndedAttempt,
): Promise<void> {
  // prettier-ignore
  const outcome = entry?.outcome ?? "lost";
  let isTaken = false;
  if (!isLost && outcome === "lost") {
    await queue.fail(attempt, `on ${attempt.host}: ${entry?.reason ?? "its analysis was removed"}`);
  } else if (!isLost) {
    const files = await putResults(store, folder, attempt.id, attempt.attempt);
    isTaken = await queue.finish(attempt, { outcome, reason: entry?.reason, files });
  }
  await removeResults(store, attempt.id, isTaken ? { but: attempt.attempt } : { attempt: attempt.attempt });
}
