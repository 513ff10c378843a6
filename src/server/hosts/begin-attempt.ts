import type { ServedQueue } from "../../lab/analysis/queue/served-queue";
import type { Heartbeat, TakenAttempt } from "../../lab/cluster/analysis-queue";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { ClusterError } from "../../lab/errors";
import type { AttemptInputs } from "./attempt-inputs";
import type { HeldAttempt, HeldAttempts } from "./held-attempts";

/** The things of a host that beginning an attempt needs. */
export interface BeginningHost {
  readonly cluster: Cluster;
  /** The lab's own. */
  readonly queue: ServedQueue;
  readonly inputs: AttemptInputs;
  readonly attempts: HeldAttempts;
  /** Between two renewals of a lease, in milliseconds. */
  readonly beatMs: number;
}

/**
 * Fetches the files of an attempt, and gives it to the lab. Its lease is renewed meanwhile.
 *
 * @throws ClusterError, and whatever the store fails with, when it cannot begin: the cluster knows then
 */
export async function beginAttempt(
  { cluster, queue, inputs, attempts, beatMs }: BeginningHost,
  taken: TakenAttempt,
): Promise<HeldAttempt> {
  const end: { reason?: string | undefined } = {};
  const beat = async () => {
    end.reason ??= findEnd(await cluster.queue.heartbeat(taken, "waiting for a machine"));
  };
  const beating = setInterval(() => void beat().catch(() => undefined), beatMs);
  try {
    const request = await inputs.fetch(taken);
    if (end.reason !== undefined) throw new ClusterError(end.reason);
    return { id: attempts.add(taken, () => queue.add(request)), attempt: taken };
  } catch (error) {
    inputs.remove(taken);
    await cluster.queue.fail(taken, `on ${taken.host}: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  } finally {
    clearInterval(beating);
  }
}

/** Finds why an attempt is to stop; undefined when it goes on. */
export function findEnd(answer: Heartbeat): string | undefined {
  if (answer.kind === "goes on") return undefined;
  return answer.kind === "cancelled" ? answer.reason : "another attempt has this analysis by now";
}
