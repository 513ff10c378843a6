import { type AnalysisDatabase, type AnalysisEntry, NOBODY, toEntry } from "../../lab/analysis/analysis-database";

const SCHEMA = `CREATE TABLE IF NOT EXISTS handed_in (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;`;
/** Of those that are new, so many at once. */
const MOST_NEW = 1_000;

/** The analyses of a lab that were handed to its cluster, with their names there: in the lab's database. */
export class HandedIn {
  constructor(private readonly database: AnalysisDatabase) {
    database.connection.exec(SCHEMA);
  }

  /** Finds the name of an analysis in the cluster. */
  findName(id: number): string | undefined {
    const row = this.database.connection.prepare("SELECT name FROM handed_in WHERE id = ?").get(id);
    return (row as { name: string } | undefined)?.name;
  }

  /** Notes that an analysis was handed in, and waits for a machine. */
  add(id: number, name: string): void {
    const { connection } = this.database;
    connection
      .transaction(() => {
        connection.prepare("INSERT OR IGNORE INTO handed_in VALUES (?, ?)").run(id, name);
        this.database.setPhase(id, "waiting for a machine");
      })
      .immediate();
  }

  /** Forgets an analysis: it was removed, or the cluster does not know it any more. */
  remove(id: number): void {
    this.database.connection.prepare("DELETE FROM handed_in WHERE id = ?").run(id);
  }

  /** Lists those that have not ended. */
  listOpen(): { readonly id: number; readonly name: string }[] {
    return this.database.connection.prepare("SELECT id, name FROM handed_in WHERE id IN (SELECT id FROM analyses WHERE outcome IS NULL)").all() as { id: number; name: string }[]; // prettier-ignore
  }

  /** Lists analyses that are to be handed in. */
  listNew(): AnalysisEntry[] {
    return this.database.select(`WHERE outcome IS NULL AND owner = ? AND id NOT IN (SELECT id FROM handed_in) ORDER BY id LIMIT ${MOST_NEW}`, NOBODY).map(toEntry); // prettier-ignore
  }
}
