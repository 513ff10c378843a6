import { randomUUID } from "node:crypto";
import { ClusterDatabase, type Statements } from "./cluster-database";
import type { AnalysisOutcome, AnalysisPhase } from "../analysis/analysis-record";
import { LOWEST_PRIORITY } from "../analysis/analysis-database";
import type { AnalysisQueue, Attempt, AttemptResult, Heartbeat, Offer, QueuedAnalysis, QueueFilter, StoredFile, ClusterSubmission, TakenAttempt } from "./analysis-queue"; // prettier-ignore
import { getRequirement, nameQueue, type Requirement } from "./requirement";

/** The queue of jobs that were given up. */
const DEAD = "rebox-dead";
/** Attempts beside the first. */
const RETRIES = 2;
/** Seconds that an attempt may take beside the time of its target: a boot, a dump, an upload. */
const MARGIN_S = 7_200;
/** pg-boss permits no more, in seconds. */
const LONGEST_ATTEMPT_S = 86_399;
/** How long jobs wait before pg-boss forgets them, in seconds: they are ended by people and hosts, not by age. */
const RETENTION_S = 10 * 365 * 86_400;
/** How long pg-boss keeps jobs that have ended, in seconds: their rows are kept apart. */
const KEPT_S = 86_400;
/** So long a host that has failed at an analysis leaves it to others that could have it, in seconds. */
const ELSEWHERE_S = 30;
/** Queues of new kinds are noticed so late at most where a message was missed, in milliseconds. */
const QUEUES_FRESH_MS = 30_000;
const MOST_LISTED = 1_000;

interface Row {
  readonly id: string;
  readonly origin: string;
  readonly number: number;
  readonly submitter: string;
  readonly created: Date;
  readonly phase: AnalysisPhase;
  readonly attempt: number;
  readonly host: string | null;
  readonly machine: string | null;
  readonly outcome: AnalysisOutcome | null;
  readonly reason: string | null;
  readonly files: StoredFile[];
}

/**
 * The queue of a cluster. pg-boss decides who may work on an analysis: its leases, retries and dead letters are used as they are, and its
 * count of retries is the number of the attempt. The row of the analysis changes in the same transaction as its job, so each ends once.
 */
export class ClusterQueue implements AnalysisQueue {
  #queues:
    { readonly untilMs: number; readonly list: readonly { name: string; requirement: Requirement }[] } | undefined;
  #next = 0;

  /** @param leaseS how long an attempt without a heartbeat has its analysis, in seconds */
  constructor(
    private readonly database: ClusterDatabase,
    private readonly leaseS: number,
  ) {
    database.listen((payload) => {
      if (payload === "" || payload === "queues") this.#queues = undefined;
    });
  }

  /** Makes what the queue needs in a new cluster. */
  async prepare(): Promise<void> {
    await this.database.boss.createQueue(DEAD, { retentionSeconds: RETENTION_S });
  }

  async submit(submission: ClusterSubmission): Promise<string> {
    const { database } = this;
    const { origin, number, request } = submission;
    const requirement = getRequirement(request);
    const queue = nameQueue(requirement);
    const submitter = request.submission?.by ?? origin;
    await this.#makeQueue(queue, requirement);
    const id = randomUUID();
    const isNew = await database.transact(async (own, db) => {
      const added = await own.query(
        `INSERT INTO rebox.analyses (id, origin, number, submitter, queue, submission) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (origin, number) DO NOTHING RETURNING id`,
        [id, origin, number, submitter, queue, submission],
      );
      if (added.length === 0) return undefined;
      const { priority = request.priority ?? LOWEST_PRIORITY, notBefore } = request.submission ?? {};
      await database.boss.send(
        queue,
        { id },
        {
          ...{ id, db, priority, group: { id: submitter } },
          ...(notBefore === undefined ? {} : { startAfter: new Date(notBefore) }),
          expireInSeconds: Math.min(Math.ceil(request.timeoutS) + MARGIN_S, LONGEST_ATTEMPT_S),
        },
      );
      await note(own, { id, act: "submitted", attempt: 0 });
      await ClusterDatabase.notify(own, "work");
      return true;
    });
    if (isNew === true) return id;
    const rows = await database.query<Row>("SELECT id FROM rebox.analyses WHERE origin = $1 AND number = $2", [origin, number]); // prettier-ignore
    return rows[0]!.id;
  }

  async take(offer: Offer): Promise<TakenAttempt | undefined> {
    const fitting = (await this.#listQueues()).filter(({ requirement }) => offer.fits(requirement));
    // Each time another queue comes first: none waits behind one that is never empty.
    const start = fitting.length === 0 ? 0 : this.#next++ % fitting.length;
    for (const { name } of [...fitting.slice(start), ...fitting.slice(0, start)]) {
      const taken = await this.#takeFrom(name, offer);
      if (taken !== undefined) return taken;
    }
    return undefined;
  }

  /** Returns whether a requirement that analyses have had fits. */
  async listFitting(fits: (requirement: Requirement) => boolean): Promise<string[]> {
    return (await this.#listQueues()).filter(({ requirement }) => fits(requirement)).map(({ name }) => name);
  }

  async heartbeat(attempt: Attempt, phase: AnalysisPhase): Promise<Heartbeat> {
    const { database } = this;
    if (countOf(await database.boss.touch(attempt.queue, jobOf(attempt))) === 0) return { kind: "lost" };
    const rows = await database.query<{ cancellation: string | null }>(
      `UPDATE rebox.analyses SET phase = $3 WHERE id = $1 AND attempt = $2 AND outcome IS NULL RETURNING cancellation`,
      [attempt.id, attempt.attempt, phase],
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
    if (isWinner === true || (await this.#hasWon(attempt))) return true;
    await note(database, { ...attempt, act: "refused" });
    return false;
  }

  async fail(attempt: Attempt, reason: string): Promise<boolean> {
    const { database } = this;
    const isDone = await database.transact(async (own, db) => {
      if (countOf(await database.boss.fail(attempt.queue, jobOf(attempt), { message: reason }, { db })) === 0)
        return undefined;
      await own.query(
        "UPDATE rebox.analyses SET phase = 'queued', reason = $3 WHERE id = $1 AND attempt = $2 AND outcome IS NULL",
        [attempt.id, attempt.attempt, reason],
      );
      await note(own, { ...attempt, act: "failed", reason });
      await ClusterDatabase.notify(own, "work");
      return true;
    });
    return isDone === true;
  }

  async cancel(id: string, reason: string): Promise<void> {
    const { database } = this;
    await database.transact(async (own, db) => {
      const [row] = await own.query<{ queue: string }>("SELECT queue FROM rebox.analyses WHERE id = $1 AND outcome IS NULL FOR UPDATE", [id]); // prettier-ignore
      if (row === undefined) return undefined;
      await own.query("UPDATE rebox.analyses SET cancellation = coalesce(cancellation, $2) WHERE id = $1", [
        id,
        reason,
      ]);
      const job = await database.boss.getJobById(row.queue, id, { db });
      if (job === null || job.state !== "active") {
        if (job !== null) await database.boss.cancel(row.queue, id, { db });
        await endRow(own, id, "cancelled", reason);
      }
      await ClusterDatabase.notify(own, "cancelled");
      return true;
    });
  }

  async list({ origin, isUncollected = false, limit = MOST_LISTED }: QueueFilter): Promise<QueuedAnalysis[]> {
    const rows = await this.database.query<Row>(
      `SELECT id, origin, number, submitter, created, phase, attempt, host, machine, outcome, reason, files FROM rebox.analyses
       WHERE ($1::text IS NULL OR origin = $1) AND (NOT $2 OR NOT is_collected) ${isUncollected ? "ORDER BY outcome IS NULL, number" : "ORDER BY created DESC"} LIMIT $3`,
      [origin ?? null, isUncollected, limit],
    );
    return rows.map(({ host, machine, outcome, reason, ...row }) => ({
      ...row,
      ...{ host: host ?? undefined, machine: machine ?? undefined },
      ...{ outcome: outcome ?? undefined, reason: reason ?? undefined },
    }));
  }

  async markCollected(ids: readonly string[]): Promise<void> {
    await this.database.query("UPDATE rebox.analyses SET is_collected = true WHERE id = ANY($1)", [ids]);
  }

  /** Ends the analyses that were tried too often; of several that ask, one ends each. */
  async buryDead(): Promise<void> {
    const { boss } = this.database;
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

  async #hasWon({ id, attempt, host }: Attempt): Promise<boolean> {
    const rows = await this.database.query("SELECT 1 FROM rebox.history WHERE analysis = $1 AND attempt = $2 AND host = $3 AND act = 'ended'", [id, attempt, host]); // prettier-ignore
    return rows.length > 0;
  }

  async #takeFrom(
    queue: string,
    { host, machine }: Pick<Offer, "host" | "machine">,
  ): Promise<TakenAttempt | undefined> {
    const { database } = this;
    const taken = await database.transact(async (own, db): Promise<TakenAttempt | "over" | undefined> => {
      const [job] = await database.boss.fetch<{ id: string }>(queue, { db, includeMetadata: true });
      if (job === undefined) return undefined;
      const attempt = job.retryCount + 1;
      const [row] = await own.query<{ submission: ClusterSubmission; tried: string[] }>("SELECT submission, tried FROM rebox.analyses WHERE id = $1 AND outcome IS NULL FOR UPDATE", [job.id]); // prettier-ignore
      if (row === undefined) {
        await database.boss.complete(queue, job.id, null, { db });
        return "over";
      }
      if (row.tried.includes(host) && (await this.#isForOthers(own, job.id, queue, row.tried))) return undefined;
      await own.query(
        `UPDATE rebox.analyses SET attempt = $2, host = $3, machine = $4, phase = 'waiting for a machine', reason = NULL,
         tried = CASE WHEN $3 = ANY(tried) THEN tried ELSE tried || $3 END WHERE id = $1`,
        [job.id, attempt, host, machine],
      );
      const begun = { id: job.id, attempt, queue, host, machine };
      await note(own, { ...begun, act: "taken" });
      return { ...begun, submission: row.submission };
    });
    return taken === "over" ? this.#takeFrom(queue, { host, machine }) : taken;
  }

  /** An analysis that has failed on a host is left to other hosts for a while, where there are some that could have it. */
  async #isForOthers(own: Statements, id: string, queue: string, tried: readonly string[]): Promise<boolean> {
    const others = await own.query(
      `SELECT 1 FROM rebox.hosts WHERE $1 = ANY(queues) AND NOT name = ANY($2) AND NOT is_draining
         AND seen > now() - make_interval(secs => $3)
         AND (SELECT max(at) FROM rebox.history WHERE analysis = $4) > now() - make_interval(secs => $5) LIMIT 1`,
      [queue, tried, this.leaseS, id, this.leaseS + ELSEWHERE_S],
    );
    return others.length > 0;
  }

  async #makeQueue(name: string, requirement: Requirement): Promise<void> {
    if ((await this.#listQueues()).some((queue) => queue.name === name)) return;
    await this.database.boss.createQueue(name, {
      ...{ retryLimit: RETRIES, heartbeatSeconds: this.leaseS, deadLetter: DEAD },
      ...{ retentionSeconds: RETENTION_S, deleteAfterSeconds: KEPT_S },
    });
    await this.database.query("INSERT INTO rebox.queues VALUES ($1, $2) ON CONFLICT DO NOTHING", [name, requirement]);
    this.#queues = undefined;
    await ClusterDatabase.notify(this.database, "queues");
  }

  async #listQueues() {
    if (this.#queues === undefined || performance.now() > this.#queues.untilMs) {
      const list = await this.database.query<{ name: string; requirement: Requirement }>("SELECT name, requirement FROM rebox.queues ORDER BY name"); // prettier-ignore
      this.#queues = { untilMs: performance.now() + QUEUES_FRESH_MS, list };
    }
    return this.#queues.list;
  }
}

/** Returns how many jobs a command has changed; pg-boss answers it, and its types leave it out. */
function countOf(response: object): number {
  return (response as { readonly affected: number }).affected;
}

/** Names an attempt as pg-boss does: it counts the retries. */
function jobOf({ id, attempt }: Attempt): { id: string; retryCount: number } {
  return { id, retryCount: attempt - 1 };
}

/** Ends an analysis that no attempt has. */
async function endRow(own: Statements, id: string, outcome: AnalysisOutcome, reason: string): Promise<void> {
  const rows = await own.query<{ attempt: number }>(
    `UPDATE rebox.analyses SET phase = 'ended', outcome = $2, reason = $3, ended = now() WHERE id = $1 AND outcome IS NULL
     RETURNING attempt`,
    [id, outcome, reason],
  );
  if (rows.length > 0) await note(own, { id, attempt: rows[0]!.attempt, act: "ended", reason: outcome });
}

/** Writes down what was done, for people and for the checker of tests. */
async function note(
  own: Statements,
  done: { id: string; act: string; attempt: number; host?: string; machine?: string; reason?: string },
): Promise<void> {
  await own.query(
    "INSERT INTO rebox.history (analysis, act, attempt, host, machine, reason) VALUES ($1, $2, $3, $4, $5, $6)",
    [done.id, done.act, done.attempt, done.host ?? null, done.machine ?? null, done.reason ?? null],
  );
}
