import type { AnalysisOutcome } from "../../analysis/analysis-record";
import type { Attempt, QueuedAnalysis, QueueFilter } from "../analysis-queue";
import type { Statements } from "./cluster-database";

const MOST_LISTED = 1_000;

/** A row as PostgreSQL answers it: null where an analysis has none. */
type Row = Omit<QueuedAnalysis, Lacking> & {
  readonly [Name in Lacking]: Exclude<QueuedAnalysis[Name], undefined> | null;
};
type Lacking = "host" | "machine" | "outcome" | "reason";

/** Lists the analyses of a cluster. */
export async function listRows(
  own: Statements,
  { origin, number, isUncollected = false, limit = MOST_LISTED }: QueueFilter,
): Promise<QueuedAnalysis[]> {
  const order = isUncollected ? "ORDER BY outcome IS NULL, number" : "ORDER BY created DESC";
  const rows = await own.query<Row>(
    `SELECT id, origin, number, submitter, created, phase, attempt, host, machine, outcome, reason, files FROM rebox.analyses
     WHERE ($1::text IS NULL OR origin = $1) AND (NOT $2 OR NOT is_collected) AND ($4::int IS NULL OR number = $4) ${order} LIMIT $3`,
    [origin ?? null, isUncollected, limit, number ?? null],
  );
  return rows.map(({ host, machine, outcome, reason, ...row }) => ({
    ...row,
    ...{ host: host ?? undefined, machine: machine ?? undefined },
    ...{ outcome: outcome ?? undefined, reason: reason ?? undefined },
  }));
}

/** Ends an analysis that no attempt has. */
export async function endRow(own: Statements, id: string, outcome: AnalysisOutcome, reason: string): Promise<void> {
  const rows = await own.query<{ attempt: number }>(
    `UPDATE rebox.analyses SET phase = 'ended', outcome = $2, reason = $3, ended = now() WHERE id = $1 AND outcome IS NULL
     RETURNING attempt`,
    [id, outcome, reason],
  );
  if (rows.length > 0) await note(own, { id, attempt: rows[0]!.attempt, act: "ended", reason: outcome });
}

/** Writes down what was done, for people and for the checker of tests. */
export async function note(
  own: Statements,
  done: { id: string; act: string; attempt: number; host?: string; machine?: string; reason?: string },
): Promise<void> {
  await own.query(
    "INSERT INTO rebox.history (analysis, act, attempt, host, machine, reason) VALUES ($1, $2, $3, $4, $5, $6)",
    [done.id, done.act, done.attempt, done.host ?? null, done.machine ?? null, done.reason ?? null],
  );
}

/** Returns whether an attempt has ended its analysis. */
export async function hasWon(own: Statements, { id, attempt, host }: Attempt): Promise<boolean> {
  const rows = await own.query("SELECT 1 FROM rebox.history WHERE analysis = $1 AND attempt = $2 AND host = $3 AND act = 'ended'", [id, attempt, host]); // prettier-ignore
  return rows.length > 0;
}

/**
 * Ends analyses that were cancelled and whose hosts were not heard of for a lease: nobody is left who could be told of the wish.
 *
 * @param leaseS in seconds
 * @returns whether there were some
 */
export async function endCancelledLate(own: Statements, leaseS: number): Promise<boolean> {
  const rows = await own.query<{ id: string; cancellation: string }>(
    `SELECT id, cancellation FROM rebox.analyses
     WHERE outcome IS NULL AND cancellation IS NOT NULL AND phase <> 'queued' AND beat < now() - make_interval(secs => $1)
     FOR UPDATE SKIP LOCKED`,
    [leaseS],
  );
  for (const { id, cancellation } of rows) await endRow(own, id, "cancelled", cancellation);
  return rows.length > 0;
}

/**
 * Puts analyses back whose hosts were not heard of for a lease, once pg-boss has given their jobs up: their rows and the history are to say so.
 *
 * @param leaseS in seconds
 */
export async function putBackLate(own: Statements, leaseS: number): Promise<void> {
  await own.query(
    `WITH lapsed AS (
       UPDATE rebox.analyses SET phase = 'queued', reason = 'the host ' || host || ' was not heard of any more'
       WHERE outcome IS NULL AND phase <> 'queued' AND beat < now() - make_interval(secs => $1)
         AND NOT EXISTS (SELECT 1 FROM pgboss.job WHERE job.name = analyses.queue AND job.id = analyses.id AND job.state = 'active' AND job.retry_count = analyses.attempt - 1)
       RETURNING id, attempt, host, machine, reason)
     INSERT INTO rebox.history (analysis, act, attempt, host, machine, reason) SELECT id, 'lapsed', attempt, host, machine, reason FROM lapsed`,
    [leaseS],
  );
}
