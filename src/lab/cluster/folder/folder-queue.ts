import { randomUUID } from "node:crypto";
import { readMonotonicMs } from "../../../config/moment";
import { LOWEST_PRIORITY } from "../../analysis/analysis-database";
import type { AnalysisOutcome, AnalysisPhase } from "../../analysis/analysis-record";
import type { AnalysisQueue, Attempt, AttemptResult, ClusterSubmission, Heartbeat, Offer, QueuedAnalysis, QueueFilter, TakenAttempt } from "../analysis-queue"; // prettier-ignore
import { orderSubmitters, type Quota, type WaitingSubmitter } from "../fair-shares";
import { getRequirement, nameQueue, type Requirement } from "../requirement";
import { checkSame } from "../same-submission";
import { listRows, note, type Row } from "./analysis-rows";
import type { FolderDatabase } from "./folder-database";
import type { FolderHosts } from "./folder-hosts";

/** Attempts in all. */
const MOST_ATTEMPTS = 3;
/** So long a host that has failed at an analysis leaves it to others that could have it, in milliseconds. */
const ELSEWHERE_MS = 30_000;
/** Of the analyses of a submitter that are looked at for one that the host may have. */
const MOST_TRIED = 50;
/** An attempt has the analysis as long as all of this is so. */
const HELD = "id = ? AND attempt = ? AND host = ? AND outcome IS NULL AND phase <> 'queued'";
const WAITING =
  "outcome IS NULL AND phase = 'queued' AND not_before <= ? AND queue IN (SELECT value FROM json_each(?))";

/** The queue of a cluster that is a folder: what pg-boss does for the other kind, in SQLite. Every change is one transaction. */
export class FolderQueue implements AnalysisQueue {
  constructor(
    private readonly database: FolderDatabase,
    private readonly hosts: FolderHosts,
  ) {}

  async submit(submission: ClusterSubmission): Promise<string> {
    const { database } = this;
    const { origin, number, request } = submission;
    const requirement = getRequirement(request);
    const queue = nameQueue(requirement);
    const { by = origin, priority = request.priority ?? LOWEST_PRIORITY, notBefore = "" } = request.submission ?? {};
    return database.transact(() => {
      const [known] = database.select<Row>("SELECT * FROM analyses WHERE origin = ? AND number = ?", origin, number);
      if (known !== undefined) {
        checkSame(JSON.parse(known.submission) as ClusterSubmission, submission);
        return known.id;
      }
      const id = randomUUID();
      if (database.change("INSERT OR IGNORE INTO queues VALUES (?, ?)", queue, JSON.stringify(requirement)) > 0) database.tell("queues"); // prettier-ignore
      database.change(
        "INSERT INTO analyses (id, origin, number, submitter, queue, priority, not_before, submission, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ...[id, origin, number, by, queue, priority, notBefore, JSON.stringify(submission), new Date().toISOString()],
      );
      note(database, { id, act: "submitted", attempt: 0 });
      database.tell("work");
      return id;
    });
  }

  async listFitting(fits: (requirement: Requirement) => boolean): Promise<string[]> {
    const rows = this.database.select<{ name: string; requirement: string }>("SELECT * FROM queues ORDER BY name");
    return rows.filter(({ requirement }) => fits(JSON.parse(requirement) as Requirement)).map(({ name }) => name);
  }

  async hasWaiting(names: readonly string[]): Promise<boolean> {
    // Nearly always none waits, and asking must not keep others from writing.
    return this.database.select(`SELECT 1 FROM analyses WHERE ${WAITING} LIMIT 1`, new Date().toISOString(), JSON.stringify(names)).length > 0; // prettier-ignore
  }

  async take({ host, machine, fits }: Offer): Promise<TakenAttempt | undefined> {
    const { database } = this;
    const names = await this.listFitting(fits);
    if (!(await this.hasWaiting(names))) return undefined;
    const [now, fitting] = [new Date().toISOString(), JSON.stringify(names)];
    return database.transact(() => {
      const waiting = database.select<Omit<WaitingSubmitter, "taken"> & { taken: number | null }>(
        `SELECT submitter AS name, max(priority) AS priority, (SELECT count(*) FROM analyses AS r WHERE r.submitter = a.submitter AND r.outcome IS NULL AND r.phase <> 'queued') AS running,
           (SELECT sequence FROM submitters AS s WHERE s.name = a.submitter) AS taken FROM analyses AS a WHERE ${WAITING} GROUP BY submitter`,
        ...[now, fitting],
      );
      for (const name of orderSubmitters(waiting, this.#readQuotas())) {
        const rows = database.select<Row>(`SELECT * FROM analyses WHERE ${WAITING} AND submitter = ? ORDER BY priority DESC, sequence LIMIT ${MOST_TRIED}`, now, fitting, name); // prettier-ignore
        const row = rows.find((each) => !this.#isForOthers(each, host));
        if (row !== undefined) return this.#begin(row, host, machine);
      }
      return undefined;
    });
  }

  async heartbeat({ id, attempt, host }: Attempt, phase: AnalysisPhase): Promise<Heartbeat> {
    const { database } = this;
    // A row that is "queued" is nobody's: what waits in its host's own queue stays what it was.
    const set = "beat_ms = ?, phase = CASE ? WHEN 'queued' THEN phase ELSE ? END";
    if (database.change(`UPDATE analyses SET ${set} WHERE ${HELD}`, readMonotonicMs(), phase, phase, id, attempt, host) === 0) return { kind: "lost" }; // prettier-ignore
    const { cancellation } = this.#get(id);
    return cancellation === null ? { kind: "goes on" } : { kind: "cancelled", reason: cancellation };
  }

  async finish(attempt: Attempt, { outcome, reason, files }: AttemptResult): Promise<boolean> {
    const { database } = this;
    const { id, attempt: number, host } = attempt;
    return database.transact(() => {
      const values = [outcome, reason ?? null, JSON.stringify(files), id, number, host];
      if (
        database.change(
          `UPDATE analyses SET phase = 'ended', outcome = ?, reason = ?, files = ? WHERE ${HELD}`,
          ...values,
        ) === 0
      ) {
        // A host that was killed behind its success asks again.
        if (this.#hasWon(attempt)) return true;
        note(database, { ...attempt, act: "refused" });
        return false;
      }
      note(database, { ...attempt, act: "ended", reason: outcome });
      database.tell("ended");
      return true;
    });
  }

  async hasWon(attempt: Attempt): Promise<boolean> {
    return this.#hasWon(attempt);
  }

  async fail({ id, attempt, host }: Attempt, reason: string): Promise<boolean> {
    return this.database.transact(() => {
      const [row] = this.database.select<Row>(`SELECT * FROM analyses WHERE ${HELD}`, id, attempt, host);
      if (row !== undefined) this.#giveUp(row, reason);
      return row !== undefined;
    });
  }

  async cancel(id: string, reason: string): Promise<void> {
    this.database.transact(() => {
      this.database.change("UPDATE analyses SET cancellation = coalesce(cancellation, ?) WHERE id = ? AND outcome IS NULL", reason, id); // prettier-ignore
      const [row] = this.database.select<Row>("SELECT * FROM analyses WHERE id = ? AND outcome IS NULL", id);
      if (row?.phase === "queued") this.#end(row, "cancelled", reason);
      this.database.tell("cancelled");
    });
  }

  async list(filter: QueueFilter): Promise<QueuedAnalysis[]> {
    return listRows(this.database, filter);
  }

  async markCollected(ids: readonly string[]): Promise<void> {
    this.database.change("UPDATE analyses SET is_collected = 1 WHERE id IN (SELECT value FROM json_each(?))", JSON.stringify(ids)); // prettier-ignore
  }

  async endGivenUp(): Promise<void> {
    const late = "outcome IS NULL AND phase <> 'queued' AND beat_ms < ?";
    const beforeMs = readMonotonicMs() - this.database.leaseS * 1_000;
    if (!this.#mayEndLeases()) return;
    if (this.database.select(`SELECT 1 FROM analyses WHERE ${late} LIMIT 1`, beforeMs).length === 0) return;
    this.database.transact(() => {
      for (const row of this.database.select<Row>(`SELECT * FROM analyses WHERE ${late}`, beforeMs))
        this.#giveUp(row, `the host ${row.host} was not heard of any more`);
    });
  }

  async setQuota({ submitter, mostRunning }: Quota): Promise<void> {
    const value = mostRunning ?? null;
    this.database.change("INSERT INTO submitters (name, most_running) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET most_running = ?", submitter, value, value); // prettier-ignore
    this.database.tell("work");
  }

  async listQuotas(): Promise<Quota[]> {
    return this.#readQuotas();
  }

  #readQuotas(): Quota[] {
    return this.database.select<Quota>("SELECT name AS submitter, most_running AS mostRunning FROM submitters WHERE most_running IS NOT NULL ORDER BY name"); // prettier-ignore
  }

  #begin({ id, queue, attempt, tried, submitter, submission }: Row, host: string, machine: string): TakenAttempt {
    // Its host gives the machine away anew: it was killed before it could note that attempt, or never heard that it has it.
    for (const row of this.database.select<Row>(
      "SELECT * FROM analyses WHERE host = ? AND machine = ? AND outcome IS NULL AND phase <> 'queued'",
      host,
      machine,
    ))
      // prettier-ignore
      this.#giveUp(row, `on ${host}: ${machine} was given to another analysis`);
    const begun = { id, attempt: attempt + 1, queue, host, machine };
    const hosts = JSON.stringify([...new Set([...(JSON.parse(tried) as string[]), host])]);
    this.database.change(
      "UPDATE analyses SET attempt = ?, host = ?, machine = ?, phase = 'waiting for a machine', reason = NULL, tried = ?, beat_ms = ? WHERE id = ?",
      ...[begun.attempt, host, machine, hosts, readMonotonicMs(), id],
    );
    const next = "(SELECT coalesce(max(sequence), 0) + 1 FROM submitters)";
    this.database.change(`INSERT INTO submitters (name, sequence) VALUES (?, ${next}) ON CONFLICT (name) DO UPDATE SET sequence = ${next}`, submitter); // prettier-ignore
    note(this.database, { ...begun, act: "taken" });
    return { ...begun, submission: JSON.parse(submission) as ClusterSubmission };
  }

  /** An analysis that has failed on a host is left to other hosts for a while, where there are some that could have it. */
  #isForOthers({ tried: text, failed_ms, queue }: Row, host: string): boolean {
    const tried = JSON.parse(text) as string[];
    return tried.includes(host) && readMonotonicMs() - failed_ms < ELSEWHERE_MS && this.hosts.hasOther(queue, tried);
  }

  #giveUp(row: Row, reason: string): void {
    const { id, attempt, host, machine } = row;
    note(this.database, { id, act: "failed", attempt, host, machine, reason });
    // Nobody is left who could be told of the wish.
    if (row.cancellation !== null) return this.#end(row, "cancelled", row.cancellation);
    if (attempt >= MOST_ATTEMPTS) return this.#end(row, "lost", `given up after ${attempt} attempts: ${reason}`);
    this.database.change("UPDATE analyses SET phase = 'queued', reason = ?, failed_ms = ? WHERE id = ?", reason, readMonotonicMs(), id); // prettier-ignore
    this.database.tell("work");
  }

  #end({ id, attempt }: Row, outcome: AnalysisOutcome, reason: string): void {
    this.database.change("UPDATE analyses SET phase = 'ended', outcome = ?, reason = ? WHERE id = ? AND outcome IS NULL", outcome, reason, id); // prettier-ignore
    note(this.database, { id, attempt, act: "ended", reason: outcome });
    this.database.tell("ended");
  }

  #hasWon({ id, attempt, host }: Attempt): boolean {
    return this.database.select("SELECT 1 FROM history WHERE analysis = ? AND attempt = ? AND host = ? AND act = 'ended'", id, attempt, host).length > 0; // prettier-ignore
  }

  /**
   * Notes that somebody looks at the leases. Where nobody has done so for half a lease, the disk or all of the host stood still, and all have the time of a
   * lease to renew theirs.
   */
  #mayEndLeases(): boolean {
    const { database } = this;
    const [nowMs, leaseMs] = [readMonotonicMs(), database.leaseS * 1_000];
    return database.transact(() => {
      const [facts] = database.select<{ looked_ms: number; ends_from_ms: number }>("SELECT * FROM facts");
      const endsFromMs = facts!.looked_ms < nowMs - leaseMs / 2 ? nowMs + leaseMs : facts!.ends_from_ms;
      database.change("UPDATE facts SET looked_ms = ?, ends_from_ms = ?", nowMs, endsFromMs);
      return endsFromMs <= nowMs;
    });
  }

  #get(id: string): Row {
    return this.database.select<Row>("SELECT * FROM analyses WHERE id = ?", id)[0]!;
  }
}
