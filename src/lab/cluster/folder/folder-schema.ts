import { findVersionProblem } from "../table-version";

/**
 * The tables of a cluster that is a folder, beside `facts`: each text leads from one version to the next, from 0 on, and is never changed.
 * Times are of the clock that never jumps, in milliseconds since the boot that `facts` names.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS analyses (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     origin TEXT NOT NULL,
     number INTEGER NOT NULL,
     submitter TEXT NOT NULL,
     queue TEXT NOT NULL,
     priority INTEGER NOT NULL,
     not_before TEXT NOT NULL,
     submission TEXT NOT NULL,
     created TEXT NOT NULL,
     phase TEXT NOT NULL DEFAULT 'queued',
     attempt INTEGER NOT NULL DEFAULT 0,
     host TEXT,
     machine TEXT,
     tried TEXT NOT NULL DEFAULT '[]',
     failed_ms REAL NOT NULL DEFAULT 0,
     beat_ms REAL NOT NULL DEFAULT 0,
     cancellation TEXT,
     outcome TEXT,
     reason TEXT,
     files TEXT NOT NULL DEFAULT '[]',
     is_collected INTEGER NOT NULL DEFAULT 0,
     UNIQUE (origin, number)
   ) STRICT;
   CREATE INDEX IF NOT EXISTS analyses_waiting ON analyses (queue, priority DESC, sequence) WHERE outcome IS NULL AND phase = 'queued';
   CREATE INDEX IF NOT EXISTS analyses_running ON analyses (submitter) WHERE outcome IS NULL AND phase <> 'queued';
   CREATE INDEX IF NOT EXISTS analyses_uncollected ON analyses (origin) WHERE NOT is_collected;
   CREATE TABLE IF NOT EXISTS submitters (name TEXT PRIMARY KEY, sequence INTEGER, most_running INTEGER) STRICT;
   CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, requirement TEXT NOT NULL) STRICT;
   CREATE TABLE IF NOT EXISTS hosts (
     name TEXT PRIMARY KEY, lab TEXT NOT NULL, report TEXT NOT NULL, is_draining INTEGER NOT NULL DEFAULT 0, seen_ms REAL NOT NULL
   ) STRICT;
   CREATE TABLE IF NOT EXISTS golden_states (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT, machine TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, UNIQUE (machine, name)
   ) STRICT;
   CREATE TABLE IF NOT EXISTS history (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT, analysis TEXT NOT NULL, act TEXT NOT NULL, attempt INTEGER NOT NULL,
     host TEXT, machine TEXT, reason TEXT
   ) STRICT;
   CREATE INDEX IF NOT EXISTS history_analysis ON history (analysis);`,
  `ALTER TABLE facts ADD COLUMN looked_ms REAL NOT NULL DEFAULT 0;
   ALTER TABLE facts ADD COLUMN ends_from_ms REAL NOT NULL DEFAULT 0;`,
  `CREATE INDEX analyses_machines ON analyses (host, machine) WHERE outcome IS NULL AND phase <> 'queued';`,
];

/** Says why this rebox does not fit tables of a version; undefined when it does. @param folder of the cluster, absolute */
export function findTableProblem(folder: string, version: number): string | undefined {
  return findVersionProblem(`the cluster in ${folder}`, "FOLDER", { version, own: MIGRATIONS.length });
}
