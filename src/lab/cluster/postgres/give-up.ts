import type { Attempt } from "../analysis-queue";
import { endRow, note } from "./analysis-rows";
import { type BossConnection, ClusterDatabase, type Statements } from "./cluster-database";

/** A transaction in which an attempt is given up. */
export interface GivingUp {
  readonly boss: ClusterDatabase["boss"];
  readonly own: Statements;
  readonly db: BossConnection;
}

/**
 * Gives an attempt up: another one is made, unless there were too many, or somebody wishes its end.
 *
 * @param reason for people
 * @returns false when the attempt had the analysis no longer; a row that had not yet said so does then
 */
export async function giveUp({ boss, own, db }: GivingUp, attempt: Attempt, reason: string): Promise<boolean> {
  const mine = "id = $1 AND attempt = $2 AND host = $3 AND outcome IS NULL";
  const names = [attempt.id, attempt.attempt, attempt.host];
  // Before the job: pg-boss does not know who reports for whom.
  if ((await own.query(`SELECT 1 FROM rebox.analyses WHERE ${mine}`, names)).length === 0) return false;
  const had = countOf(await boss.fail(attempt.queue, jobOf(attempt), { message: reason }, { db })) > 0;
  const [row] = await own.query<{ cancellation: string | null }>(
    `UPDATE rebox.analyses SET phase = 'queued', reason = $4 WHERE ${mine} AND phase <> 'queued' RETURNING cancellation`,
    [...names, reason],
  );
  if (row === undefined && !had) return false;
  await note(own, { ...attempt, act: had ? "failed" : "lapsed", reason });
  if (typeof row?.cancellation === "string") {
    // Nobody is left who could be told of the wish.
    await boss.cancel(attempt.queue, attempt.id, { db });
    await endRow(own, attempt.id, "cancelled", row.cancellation);
    await ClusterDatabase.notify(own, "ended");
  } else await ClusterDatabase.notify(own, "work");
  return had;
}

/**
 * Gives up what else a machine is believed to make: its host gives it away anew, so it was killed before it could note that attempt, or never heard that it
 * has it.
 *
 * @param but the analysis that it is given to
 */
export async function giveUpEarlier(
  giving: GivingUp,
  { host, machine, but }: { readonly host: string; readonly machine: string; readonly but: string },
): Promise<void> {
  const earlier = await giving.own.query<Attempt>(
    "SELECT id, attempt, queue, host, machine FROM rebox.analyses WHERE host = $1 AND machine = $2 AND outcome IS NULL AND phase <> 'queued' AND id <> $3",
    [host, machine, but],
  );
  for (const attempt of earlier) await giveUp(giving, attempt, `on ${host}: ${machine} was given to another analysis`);
}

/** Returns how many jobs a command has changed; pg-boss answers it, and its types leave it out. */
export function countOf(response: object): number {
  return (response as { readonly affected: number }).affected;
}

/** Names an attempt as pg-boss does: it counts the retries. */
export function jobOf({ id, attempt }: Pick<Attempt, "id" | "attempt">): { id: string; retryCount: number } {
  return { id, retryCount: attempt - 1 };
}
