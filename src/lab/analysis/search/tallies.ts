import type Database from "libsql";

/**
 * The numbers of analyses of each outcome and each judgement, which the database itself keeps, whichever process changes it: counting a
 * hundred thousand takes longer than a page may.
 */
const SCHEMA = `
  CREATE TABLE tallies (kind TEXT NOT NULL, value TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (kind, value)) STRICT, WITHOUT ROWID;
  INSERT INTO tallies SELECT 'outcome', outcome, count(*) FROM analyses WHERE outcome IS NOT NULL GROUP BY outcome;
  INSERT INTO tallies SELECT 'judgement', judgement, count(*) FROM facts WHERE judgement IS NOT NULL GROUP BY judgement;
  ${makeTriggers("analyses", "outcome")}
  ${makeTriggers("facts", "judgement")}`;

function makeTriggers(table: string, column: string): string {
  const change = (row: "OLD" | "NEW", by: string) =>
    `INSERT INTO tallies SELECT '${column}', ${row}.${column}, ${by} WHERE ${row}.${column} IS NOT NULL
     ON CONFLICT DO UPDATE SET count = count + ${by};`;
  return `
    CREATE TRIGGER ${table}_tally_insert AFTER INSERT ON ${table} BEGIN ${change("NEW", "1")} END;
    CREATE TRIGGER ${table}_tally_delete AFTER DELETE ON ${table} BEGIN ${change("OLD", "-1")} END;
    CREATE TRIGGER ${table}_tally_update AFTER UPDATE OF ${column} ON ${table}
      BEGIN ${change("OLD", "-1")} ${change("NEW", "1")} END;`;
}

/** Has a database keep the numbers from now on; those of before are counted once. */
export function keepTallies(connection: Database.Database): void {
  const isThere = () => connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'tallies'").get() !== undefined;
  if (isThere()) return;
  connection
    .transaction(() => {
      // Another process may have been quicker.
      if (!isThere()) connection.exec(SCHEMA);
    })
    .immediate();
}

/** Reads the numbers of one kind. */
export function readTallies(connection: Database.Database, kind: "outcome" | "judgement"): Record<string, number> {
  const rows = connection.prepare("SELECT value, count FROM tallies WHERE kind = ? AND count > 0").all(kind);
  return Object.fromEntries((rows as { value: string; count: number }[]).map(({ value, count }) => [value, count]));
}
