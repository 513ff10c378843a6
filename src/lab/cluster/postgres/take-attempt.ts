import type { ClusterSubmission, Offer, TakenAttempt } from "../analysis-queue";
import { orderSubmitters, type Quota } from "../fair-shares";
import { note } from "./analysis-rows";
import type { BossConnection, ClusterDatabase, Statements } from "./cluster-database";
import { giveUpEarlier } from "./give-up";
import { listWaiting, takeTurn } from "./submitters";

/** So long a host that has failed at an analysis leaves it to others that could have it, in seconds. */
const ELSEWHERE_S = 30;

/** The queue that an attempt is taken from. */
export interface Source {
  readonly queue: string;
  /** Asked for only where something waits. */
  listQuotas(): Promise<readonly Quota[]>;
  /** How long a host that is not heard of is taken to be there, in seconds. */
  readonly leaseS: number;
}

/**
 * Takes from one queue: of whose turn it is the next that this host may have.
 *
 * @returns undefined when there is none
 */
export async function takeFrom(
  database: ClusterDatabase,
  source: Source,
  offer: Offer,
): Promise<TakenAttempt | undefined> {
  const waiting = await listWaiting(database, source.queue);
  if (waiting.length === 0) return undefined;
  for (const name of orderSubmitters(waiting, await source.listQuotas())) {
    const others = waiting.map((each) => each.name).filter((each) => each !== name);
    for (let count = -1; count < others.length;) {
      count = others.length;
      const taken = await database.transact((own, db) =>
        takeOf(database.boss, own, db, source, { ...offer, name, others }),
      );
      if (taken === "over") count = -1;
      else if (taken !== undefined) return taken;
    }
  }
  return undefined;
}

/** @param others whose analyses are not meant; those that are found on the way join them */
async function takeOf(
  boss: ClusterDatabase["boss"],
  own: Statements,
  db: BossConnection,
  { queue, leaseS }: Source,
  { host, machine, name, others }: Offer & { readonly name: string; readonly others: string[] },
): Promise<TakenAttempt | "over" | undefined> {
  if (!(await takeTurn(own, name))) return undefined;
  const [job] = await boss.fetch<{ id: string }>(queue, { db, includeMetadata: true, ignoreGroups: [...others] });
  if (job === undefined) return undefined;
  if (job.groupId !== name) {
    // It has come since: whether it may begin was not looked at. Without it there is perhaps one of this name.
    if (typeof job.groupId === "string") others.push(job.groupId);
    return undefined;
  }
  const attempt = job.retryCount + 1;
  const [row] = await own.query<{ submission: ClusterSubmission; tried: string[] }>("SELECT submission, tried FROM rebox.analyses WHERE id = $1 AND outcome IS NULL FOR UPDATE", [job.id]); // prettier-ignore
  if (row === undefined) {
    await boss.complete(queue, job.id, null, { db });
    return "over";
  }
  if (row.tried.includes(host) && (await isForOthers(own, { id: job.id, tried: row.tried, queue, leaseS })))
    return undefined;
  await own.query(
    `UPDATE rebox.analyses SET attempt = $2, host = $3, machine = $4, phase = 'waiting for a machine', reason = NULL, beat = now(),
     tried = CASE WHEN $3 = ANY(tried) THEN tried ELSE tried || $3 END WHERE id = $1`,
    [job.id, attempt, host, machine],
  );
  const begun = { id: job.id, attempt, queue, host, machine };
  await giveUpEarlier({ boss, own, db }, { host, machine, but: job.id });
  await note(own, { ...begun, act: "taken" });
  return { ...begun, submission: row.submission };
}

/** An analysis that has failed on a host is left to other hosts for a while, where there are some that could have it. */
async function isForOthers(
  own: Statements,
  {
    id,
    tried,
    queue,
    leaseS,
  }: Pick<Source, "queue" | "leaseS"> & { readonly id: string; readonly tried: readonly string[] },
): Promise<boolean> {
  const others = await own.query(
    `SELECT 1 FROM rebox.hosts WHERE $1 = ANY(queues) AND NOT name = ANY($2) AND NOT is_draining
       AND seen > now() - make_interval(secs => $3)
       AND (SELECT max(at) FROM rebox.history WHERE analysis = $4) BETWEEN now() - make_interval(secs => $5) AND now() LIMIT 1`,
    [queue, tried, leaseS, id, leaseS + ELSEWHERE_S],
  );
  return others.length > 0;
}
