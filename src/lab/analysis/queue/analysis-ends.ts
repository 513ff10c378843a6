import type { AnalysisDatabase } from "../analysis-database";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS ends (sequence INTEGER PRIMARY KEY AUTOINCREMENT, analysis INTEGER NOT NULL) STRICT;
  CREATE TRIGGER IF NOT EXISTS analyses_end AFTER UPDATE OF outcome ON analyses WHEN NEW.outcome IS NOT NULL AND OLD.outcome IS NULL
    BEGIN INSERT INTO ends (analysis) VALUES (NEW.id); END;`;

/** The most that are listed at once. */
const MOST_LISTED = 100;

/**
 * The ends of analyses that a server has not told of yet. The database notes them itself, whichever process ends an analysis, and also
 * while there is no server.
 */
export class AnalysisEnds {
  constructor(private readonly database: AnalysisDatabase) {
    database.connection.exec(SCHEMA);
  }

  /** Lists ends, the oldest first. */
  list(): { readonly sequence: number; readonly analysis: number }[] {
    const statement = this.database.connection.prepare("SELECT sequence, analysis FROM ends ORDER BY sequence LIMIT ?");
    return statement.all(MOST_LISTED) as { sequence: number; analysis: number }[];
  }

  /** Forgets ends that were told. @param sequence of the last of them */
  forget(sequence: number): void {
    this.database.connection.prepare("DELETE FROM ends WHERE sequence <= ?").run(sequence);
  }
}
