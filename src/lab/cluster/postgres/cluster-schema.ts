import { findVersionProblem } from "../table-version";

/**
 * The tables of a cluster beside pg-boss's own: each statement leads from one version to the next, and is never changed.
 * The truth about an analysis is its row here; its job in pg-boss says who may work on it.
 */
export const MIGRATIONS: readonly string[] = [
  `ALTER TABLE rebox.cluster ADD COLUMN lease_s int NOT NULL DEFAULT 30;

   CREATE TABLE rebox.queues (name text PRIMARY KEY, requirement jsonb NOT NULL);

   CREATE TABLE rebox.analyses (
     id uuid PRIMARY KEY,
     origin text NOT NULL,
     number int NOT NULL,
     submitter text NOT NULL,
     queue text NOT NULL REFERENCES rebox.queues,
     submission jsonb NOT NULL,
     created timestamptz NOT NULL DEFAULT now(),
     phase text NOT NULL DEFAULT 'queued',
     attempt int NOT NULL DEFAULT 0,
     host text,
     machine text,
     tried text[] NOT NULL DEFAULT '{}',
     cancellation text,
     outcome text,
     reason text,
     ended timestamptz,
     files jsonb NOT NULL DEFAULT '[]',
     is_collected boolean NOT NULL DEFAULT false,
     UNIQUE (origin, number)
   );
   CREATE INDEX ON rebox.analyses (origin) WHERE NOT is_collected;
   CREATE INDEX ON rebox.analyses (created);

   CREATE TABLE rebox.hosts (
     name text PRIMARY KEY,
     lab text NOT NULL,
     version text NOT NULL,
     state text NOT NULL,
     machines jsonb NOT NULL,
     load jsonb NOT NULL,
     queues text[] NOT NULL DEFAULT '{}',
     is_draining boolean NOT NULL DEFAULT false,
     seen timestamptz NOT NULL DEFAULT now()
   );

   CREATE TABLE rebox.history (
     sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     at timestamptz NOT NULL DEFAULT clock_timestamp(),
     analysis uuid NOT NULL,
     act text NOT NULL,
     attempt int NOT NULL,
     host text,
     machine text,
     reason text
   );
   CREATE INDEX ON rebox.history (analysis);`,
  `ALTER TABLE rebox.analyses ADD COLUMN priority int NOT NULL DEFAULT 1, ADD COLUMN not_before timestamptz NOT NULL DEFAULT '-infinity',
     ADD COLUMN beat timestamptz NOT NULL DEFAULT now();
   CREATE INDEX analyses_waiting ON rebox.analyses (queue, submitter, priority DESC) WHERE outcome IS NULL AND phase = 'queued';
   CREATE INDEX analyses_running ON rebox.analyses (submitter) WHERE outcome IS NULL AND phase <> 'queued';
   CREATE SEQUENCE rebox.turns;
   CREATE TABLE rebox.submitters (name text PRIMARY KEY, turn bigint, most_running int);`,
  `CREATE TABLE rebox.golden_states (
     machine text NOT NULL, name text NOT NULL, state jsonb NOT NULL, published timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (machine, name)
   );`,
  `ALTER TABLE rebox.hosts ADD COLUMN live jsonb;`,
  `ALTER TABLE rebox.cluster ADD COLUMN looked timestamptz NOT NULL DEFAULT now(), ADD COLUMN ends_from timestamptz NOT NULL DEFAULT now();`,
  `CREATE INDEX analyses_machines ON rebox.analyses (host, machine) WHERE outcome IS NULL AND phase <> 'queued';
   ALTER TABLE rebox.hosts ADD COLUMN process text;`,
];

/** Says why this rebox does not fit tables of a version; undefined when it does. */
export function findTableProblem(version: number): string | undefined {
  return findVersionProblem("the cluster", "URL", { version, own: MIGRATIONS.length });
}
