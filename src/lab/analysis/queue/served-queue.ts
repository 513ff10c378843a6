import type { ProcessIdentity } from "../../machinery/processes/process-identity";
import { AnalysisError } from "../../errors";
import { type AnalysisDatabase, type AnalysisEntry, type AnalysisRequest, type AnalysisRow, findOwner, NOBODY, toEntry, TURNS } from "../analysis-database"; // prettier-ignore

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS cancellations (id INTEGER PRIMARY KEY, reason TEXT NOT NULL) STRICT;`;

/** The answer to a wish to end an analysis. */
export type Cancellation =
  /** It waited, and has ended. */
  | { readonly kind: "ended" }
  /** It runs; its process, once there is one, is to be told by SIGTERM. */
  | { readonly kind: "asked"; readonly process: ProcessIdentity | undefined }
  /** It had ended before, or there is none. */
  | { readonly kind: "over" };

/**
 * The analyses of a lab that wait for its server. They belong to no process until the process that makes one takes it, so a server that is
 * killed loses none: those that run go on, and the next server begins the others.
 */
export class ServedQueue {
  constructor(private readonly database: AnalysisDatabase) {
    database.connection.exec(SCHEMA);
  }

  /** Adds an analysis at the end of the queue. @returns its number */
  add(request: AnalysisRequest): number {
    const { lastInsertRowid } = this.database.connection
      .prepare("INSERT INTO analyses (created, phase, owner, request) VALUES (?, 'queued', ?, ?)")
      .run(new Date().toISOString(), NOBODY, JSON.stringify(request));
    return Number(lastInsertRowid);
  }

  /**
   * Lets the next analysis begin: of those with the highest priority the oldest.
   *
   * @param limit how many may run at once in the lab
   * @returns undefined when none waits, or as many run
   */
  beginNext(limit: number): AnalysisEntry | undefined {
    // Nearly always none waits, and asking must not keep others from writing.
    if (this.#findNext() === undefined) return undefined;
    return this.database.connection
      .transaction(() => {
        const begun = this.database.select("WHERE outcome IS NULL AND phase <> 'queued'");
        const running = begun.filter(({ owner }) => owner === NOBODY || findOwner(owner) !== undefined);
        if (running.length >= limit) return undefined;
        const next = this.#findNext();
        if (next === undefined) return undefined;
        this.database.setPhase(next.id, "waiting for a machine");
        return toEntry(next);
      })
      .immediate() as AnalysisEntry | undefined;
  }

  /** Finds the next analysis of the queue whose time has come. */
  #findNext(): AnalysisRow | undefined {
    return this.database.select(
      `WHERE outcome IS NULL AND phase = 'queued' AND owner = ? AND coalesce(json_extract(request, '$.submission.notBefore'), '') <= ?
       ${TURNS} LIMIT 1`,
      NOBODY,
      new Date().toISOString(),
    )[0];
  }

  /** Puts those back that a server has begun whose processes never came to take them. */
  requeue(): void {
    this.database.connection
      .prepare("UPDATE analyses SET phase = 'queued' WHERE outcome IS NULL AND owner = ?")
      .run(NOBODY);
  }

  /**
   * Makes an analysis of the queue this process' own. Of several that ask, one gets it.
   *
   * @throws AnalysisError when another process has it, or it has ended
   */
  claim(id: number): AnalysisEntry {
    return this.database.connection
      .transaction(() => {
        const [row] = this.database.select("WHERE id = ? AND outcome IS NULL AND owner = ?", id, NOBODY);
        if (row === undefined) throw new AnalysisError(`analysis ${id} waits for nobody: another process has it`);
        this.database.setPhase(id, "waiting for a machine");
        return this.database.takeOver(id);
      })
      .immediate() as AnalysisEntry;
  }

  /** Asks an analysis to end. @param reason is recorded */
  cancel(id: number, reason: string): Cancellation {
    return this.database.connection
      .transaction((): Cancellation => {
        const [row] = this.database.select("WHERE id = ? AND outcome IS NULL", id);
        if (row === undefined) return { kind: "over" };
        if (row.phase === "queued" && row.owner === NOBODY) {
          this.database.end(id, "cancelled", reason);
          return { kind: "ended" };
        }
        this.database.connection.prepare("INSERT OR IGNORE INTO cancellations VALUES (?, ?)").run(id, reason);
        return { kind: "asked", process: findOwner(row.owner) };
      })
      .immediate() as Cancellation;
  }

  /** Finds why an analysis was asked to end. */
  findCancellation(id: number): string | undefined {
    const row = this.database.connection.prepare("SELECT reason FROM cancellations WHERE id = ?").get(id);
    return (row as { reason: string } | undefined)?.reason;
  }

  /** Counts the analyses that wait for the server. */
  countWaiting(): number {
    const row = this.database.connection
      .prepare("SELECT count(*) AS count FROM analyses WHERE outcome IS NULL AND phase = 'queued' AND owner = ?")
      .get(NOBODY);
    return (row as { count: number }).count;
  }

  /** Removes an analysis that has ended from the list. @returns whether it was there, and had ended */
  remove(id: number): boolean {
    const { changes } = this.database.connection
      .prepare("DELETE FROM analyses WHERE id = ? AND outcome IS NOT NULL")
      .run(id);
    this.database.connection.prepare("DELETE FROM cancellations WHERE id = ?").run(id);
    return changes === 1;
  }
}
