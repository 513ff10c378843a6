import type { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import type { AnalysisPhase } from "../../lab/analysis/analysis-record";
import type { Attempt } from "../../lab/cluster/analysis-queue";

const SCHEMA = `CREATE TABLE IF NOT EXISTS attempts (id INTEGER PRIMARY KEY, attempt TEXT NOT NULL) STRICT;`;

/** An attempt of the cluster that this host makes. */
export interface HeldAttempt {
  readonly attempt: Attempt;
  /** Its number in the lab of this host. */
  readonly id: number;
}

/** A held attempt, and what is going on with it. */
export interface Held extends HeldAttempt {
  /** The last heartbeat, as performance.now(). */
  beatMs: number;
  /** The phase that the cluster was told last. */
  phase?: AnalysisPhase;
  /** Another attempt has the analysis by now: nothing is delivered. */
  isLost: boolean;
  isDelivering: boolean;
  /** How often that has failed. */
  failures: number;
  /** Before then it is not tried again, as performance.now(). */
  againMs: number;
  /** Why it is to end early. */
  endReason?: string;
  /** Whether the lab knows that. */
  isTold: boolean;
}

/** The attempts that a host has begun and not yet delivered: in the lab's database, so a host that was killed knows them again. */
export class HeldAttempts {
  constructor(private readonly database: AnalysisDatabase) {
    database.connection.exec(SCHEMA);
  }

  /** Adds an attempt with its analysis: both or none. @param add adds the analysis, and returns its number */
  add(attempt: Attempt, add: () => number): number {
    const { connection } = this.database;
    return connection
      .transaction(() => {
        const id = add();
        const { id: name, attempt: number, queue, host, machine } = attempt;
        const text = JSON.stringify({ id: name, attempt: number, queue, host, machine });
        connection.prepare("INSERT INTO attempts VALUES (?, ?)").run(id, text);
        return id;
      })
      .immediate() as number;
  }

  list(): HeldAttempt[] {
    const rows = this.database.connection.prepare("SELECT id, attempt FROM attempts").all();
    return (rows as { id: number; attempt: string }[]).map(({ id, attempt }) => ({ id, attempt: JSON.parse(attempt) as Attempt })); // prettier-ignore
  }

  remove(id: number): void {
    this.database.connection.prepare("DELETE FROM attempts WHERE id = ?").run(id);
  }
}
