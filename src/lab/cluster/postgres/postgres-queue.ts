import { randomUUID } from "node:crypto";
import { LOWEST_PRIORITY } from "../../analysis/analysis-database";
import type { AnalysisPhase } from "../../analysis/analysis-record";
import type { AnalysisQueue, Attempt, AttemptResult, ClusterSubmission, Heartbeat, Offer, QueuedAnalysis, QueueFilter, TakenAttempt } from "../analysis-queue"; // prettier-ignore
import { getRequirement, type Requirement } from "../requirement";
import type { Quota } from "../fair-shares";
import { checkSame } from "../same-submission";
import { endCancelledLate, endRow, hasWon, listRows, note, putBackLate } from "./analysis-rows";
import { ClusterDatabase } from "./cluster-database";
import { countOf, giveUp, jobOf } from "./give-up";
import { bringTimesBack, mayEndLeases } from "./lease-clock";
import { DEAD, QueueKinds, RETENTION_S } from "./queue-kinds";
import { takeFrom } from "./take-attempt";

/** Seconds that an attempt may take beside the time of its target: a boot, a dump, an upload. */
const MARGIN_S = 7_200;
/** pg-boss permits no more, in seconds. */
const LONGEST_ATTEMPT_S = 86_399;
/** pg-boss's code for a queue that is not there. */
const QUEUE_NOT_FOUND = "PGBOSS_QUEUE_NOT_FOUND";
/** From then on analyses may begin that nobody has put off: long past, as a clock of the database that is set back must hide none. */
const ALWAYS = new Date("2000-01-01T00:00:00Z");

/**
 * The queue of a cluster in PostgreSQL. pg-boss decides who may work on an analysis: its leases, retries and dead letters are used as they
 * are, and its count of retries is the number of the attempt. The row of the analysis changes in the same transaction as its job, so each
 * ends once.
 */
export class PostgresQueue implements AnalysisQueue {
  readonly #kinds: QueueKinds;
  #next = 0;

  /** @param leaseS how long an attempt without a heartbeat has its analysis, in seconds */
  constructor(
    private readonly database: ClusterDatabase,
    private readonly leaseS: number,
  ) {
    this.#kinds = new QueueKinds(database, leaseS);
  }

  /** Makes what the queue needs in a new cluster. */
  async prepare(): Promise<void> {
    await this.#kinds.prepare();
  }

  async submit(submission: ClusterSubmission): Promise<string> {
    const { database } = this;
    const { origin, number, request } = submission;
    const queue = await this.#kinds.make(getRequirement(request));
    const { by: submitter = origin, priority = request.priority ?? LOWEST_PRIORITY, notBefore } = request.submission ?? {}; // prettier-ignore
    const id = randomUUID();
    const isNew = await database.transact(async (own, db) => {
      const added = await own.query(
        `INSERT INTO rebox.analyses (id, origin, number, submitter, queue, submission, priority, not_before)
         VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8::timestamptz, '-infinity')) ON CONFLICT (origin, number) DO NOTHING RETURNING id`,
        [id, origin, number, submitter, queue, submission, priority, notBefore ?? null],
      );
      if (added.length === 0) return undefined;
      await database.boss.send(
        queue,
        { id },
        {
          ...{ id, db, priority, group: { id: submitter } },
          ...{ startAfter: notBefore === undefined ? ALWAYS : new Date(notBefore), retentionSeconds: RETENTION_S },
          expireInSeconds: Math.min(Math.ceil(request.timeoutS) + MARGIN_S, LONGEST_ATTEMPT_S),
        },
      );
      await note(own, { id, act: "submitted", attempt: 0 });
      await ClusterDatabase.notify(own, "work");
      return true;
    });
    if (isNew === true) return id;
    const rows = await database.query<{ id: string; submission: ClusterSubmission }>("SELECT id, submission FROM rebox.analyses WHERE origin = $1 AND number = $2", [origin, number]); // prettier-ignore
    checkSame(rows[0]!.submission, submission);
    return rows[0]!.id;
  }

  async hasWaiting(names: readonly string[]): Promise<boolean> {
    const rows = await this.database.query("SELECT 1 FROM rebox.analyses WHERE queue = ANY($1) AND outcome IS NULL AND phase = 'queued' AND not_before <= now() LIMIT 1", [names]); // prettier-ignore
    return rows.length > 0;
  }

  async take(offer: Offer): Promise<TakenAttempt | undefined> {
    const fitting = await this.listFitting((requirement) => offer.fits(requirement));
    // Each time another queue comes first: none waits behind one that is never empty.
    const start = fitting.length === 0 ? 0 : this.#next++ % fitting.length;
    for (const name of [...fitting.slice(start), ...fitting.slice(0, start)]) {
      const taken = await takeFrom(
        this.database,
        { queue: name, leaseS: this.leaseS, listQuotas: () => this.listQuotas() },
        offer,
      );
      if (taken !== undefined) return taken;
    }
    return undefined;
  }

  async listFitting(fits: (requirement: Requirement) => boolean): Promise<string[]> {
    return (await this.#kinds.list()).filter(({ requirement }) => fits(requirement)).map(({ name }) => name);
  }

  async heartbeat(attempt: Attempt, phase: AnalysisPhase): Promise<Heartbeat> {
    const { database } = this;
    const touched = await database.boss.touch(attempt.queue, jobOf(attempt)).catch((error: unknown) => {
      // A cluster that was made anew has not yet all queues that the earlier one had.
      if ((error as { code?: unknown }).code === QUEUE_NOT_FOUND) return undefined;
      throw error;
    });
    if (touched === undefined || countOf(touched) === 0) return { kind: "lost" };
    const rows = await database.query<{ cancellation: string | null }>(
      `UPDATE rebox.analyses SET phase = CASE $3::text WHEN 'queued' THEN phase ELSE $3 END, beat = now() WHERE id = $1 AND attempt = $2 AND host = $4 AND outcome IS NULL
       RETURNING cancellation`,
      [attempt.id, attempt.attempt, phase, attempt.host],
    );
    if (rows.length === 0) return { kind: "lost" };
    const { cancellation } = rows[0]!;
    return cancellation === null ? { kind: "goes on" } : { kind: "cancelled", reason: cancellation };
  }

  async finish(attempt: Attempt, { outcome, reason, files }: AttemptResult): Promise<boolean> {
    const { database } = this;
    const isWinner = await database.transact(async (own, db) => {
      if (countOf(await database.boss.complete(attempt.queue, jobOf(attempt), null, { db })) === 0) return undefined;
      const rows = await own.query(
        `UPDATE rebox.analyses SET phase = 'ended', outcome = $4, reason = $5, files = $6, ended = now()
         WHERE id = $1 AND attempt = $2 AND host = $3 AND outcome IS NULL RETURNING id`,
        [attempt.id, attempt.attempt, attempt.host, outcome, reason ?? null, JSON.stringify(files)],
      );
      if (rows.length === 0) return undefined;
      await note(own, { ...attempt, act: "ended", reason: outcome });
      await ClusterDatabase.notify(own, "ended");
      return true;
    });
    // A host that was killed behind its success asks again.
    if (isWinner === true || (await hasWon(database, attempt))) return true;
    await note(database, { ...attempt, act: "refused" });
    return false;
  }

  async hasWon(attempt: Attempt): Promise<boolean> {
    return hasWon(this.database, attempt);
  }

  async fail(attempt: Attempt, reason: string): Promise<boolean> {
    const { boss } = this.database;
    return this.database.transact((own, db) => giveUp({ boss, own, db }, attempt, reason));
  }

  async cancel(id: string, reason: string): Promise<void> {
    const { database } = this;
    await database.transact(async (own, db) => {
      const [row] = await own.query<{ queue: string }>("SELECT queue FROM rebox.analyses WHERE id = $1 AND outcome IS NULL FOR UPDATE", [id]); // prettier-ignore
      if (row === undefined) return undefined;
      await own.query("UPDATE rebox.analyses SET cancellation = coalesce(cancellation, $2) WHERE id = $1", [id, reason]); // prettier-ignore
      const job = await database.boss.getJobById(row.queue, id, { db });
      if (job === null || job.state !== "active") {
        if (job !== null) await database.boss.cancel(row.queue, id, { db });
        await endRow(own, id, "cancelled", reason);
      }
      await ClusterDatabase.notify(own, "cancelled");
      return true;
    });
  }

  async list(filter: QueueFilter): Promise<QueuedAnalysis[]> {
    return listRows(this.database, filter);
  }

  async markCollected(ids: readonly string[]): Promise<void> {
    await this.database.query("UPDATE rebox.analyses SET is_collected = true WHERE id = ANY($1)", [ids]);
  }

  async endGivenUp(): Promise<void> {
    const { boss } = this.database;
    if (await mayEndLeases(this.database, this.leaseS)) {
      // pg-boss ends the leases; of those who ask at the same time one does it.
      await boss.supervise();
      await this.database.transact(async (own) => {
        if (await endCancelledLate(own, this.leaseS)) await ClusterDatabase.notify(own, "ended");
        await putBackLate(own, this.leaseS);
        return true;
      });
    } else await bringTimesBack(this.database);
    for (let more = true; more;) {
      more =
        (await this.database.transact(async (own, db) => {
          const [job] = await boss.fetch<{ id: string }>(DEAD, { db });
          if (job === undefined) return undefined;
          const [row] = await own.query<{ reason: string | null; host: string | null; attempt: number }>("SELECT reason, host, attempt FROM rebox.analyses WHERE id = $1", [job.data.id]); // prettier-ignore
          const why = row?.reason ?? `the host ${row?.host} was not heard of any more`;
          await endRow(own, job.data.id, "lost", `given up after ${row?.attempt} attempts: ${why}`);
          await boss.complete(DEAD, job.id, null, { db });
          await ClusterDatabase.notify(own, "ended");
          return true;
        })) === true;
    }
  }

  async setQuota({ submitter, mostRunning }: Quota): Promise<void> {
    await this.database.query("INSERT INTO rebox.submitters (name, most_running) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET most_running = $2", [submitter, mostRunning ?? null]); // prettier-ignore
    await ClusterDatabase.notify(this.database, "work");
  }

  async listQuotas(): Promise<Quota[]> {
    return this.database.query<Quota>(`SELECT name AS submitter, most_running AS "mostRunning" FROM rebox.submitters WHERE most_running IS NOT NULL ORDER BY name`); // prettier-ignore
  }
}
