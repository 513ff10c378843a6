import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import type { AnalysisRequest } from "../../../src/lab/analysis/analysis-database";
import type { ClusterSubmission } from "../../../src/lab/cluster/analysis-queue";
import { MIGRATIONS as FOLDER_MIGRATIONS } from "../../../src/lab/cluster/folder/folder-schema";
import { MIGRATIONS } from "../../../src/lab/cluster/postgres/cluster-schema";
import { RETENTION_S } from "../../../src/lab/cluster/postgres/queue-kinds";
import { nameQueue } from "../../../src/lab/cluster/requirement";

const REQUEST: AnalysisRequest = { machine: undefined, target: undefined, command: "from before", options: {}, timeoutS: 60, scripts: [] }; // prettier-ignore
const SUBMISSION: ClusterSubmission = { origin: "lab", number: 1, request: REQUEST, target: undefined, scripts: [] };
const QUEUE = nameQueue({});

/** Makes a cluster in a folder with tables of an earlier version, in which an analysis waits. @param place absolute */
export function makeOlderFolder(place: string, version: number): void {
  mkdirSync(place);
  const database = new Database(join(place, "cluster.db"));
  try {
    database.exec("CREATE TABLE facts (version INTEGER NOT NULL, lease_s INTEGER NOT NULL, boot TEXT NOT NULL) STRICT");
    for (const statements of FOLDER_MIGRATIONS.slice(0, version)) database.exec(statements);
    database.prepare("INSERT INTO facts (version, lease_s, boot) VALUES (?, 30, 'an earlier one')").run(version);
    database.prepare("INSERT INTO queues VALUES (?, '{}')").run(QUEUE);
    database
      .prepare(
        "INSERT INTO analyses (id, origin, number, submitter, queue, priority, not_before, submission, created) VALUES (?, 'lab', 1, 'anna', ?, 1, '', ?, '2026-01-01T00:00:00.000Z')",
      ) // prettier-ignore
      .run(randomUUID(), QUEUE, JSON.stringify(SUBMISSION));
  } finally {
    database.close();
  }
}

/** Makes the tables of a cluster in an empty database as an earlier version has them, with an analysis that waits. */
export async function makeOlderDatabase(url: string, version: number): Promise<void> {
  const { default: pg } = await import("pg");
  const { PgBoss } = await import("pg-boss");
  const client = new pg.Client({ connectionString: url });
  const boss = new PgBoss({ connectionString: url, schema: "pgboss", supervise: false, schedule: false });
  try {
    await client.connect();
    await client.query("CREATE SCHEMA rebox; CREATE TABLE rebox.cluster (id uuid NOT NULL, version int NOT NULL)");
    for (const statements of MIGRATIONS.slice(0, version)) await client.query(statements);
    const id = randomUUID();
    await client.query("INSERT INTO rebox.cluster VALUES ($1, $2)", [randomUUID(), version]);
    await client.query("INSERT INTO rebox.queues VALUES ($1, '{}')", [QUEUE]);
    await client.query("INSERT INTO rebox.analyses (id, origin, number, submitter, queue, submission) VALUES ($1, 'lab', 1, 'anna', $2, $3)", [id, QUEUE, SUBMISSION]); // prettier-ignore
    await boss.start();
    await boss.createQueue(QUEUE, { retryLimit: 2, heartbeatSeconds: 30 });
    // As rebox does: the clock of a virtual host may be set back by seconds at any moment, and would hide what begins now.
    const times = { startAfter: new Date("2000-01-01T00:00:00Z"), retentionSeconds: RETENTION_S };
    await boss.send(QUEUE, { id }, { id, group: { id: "anna" }, ...times });
  } finally {
    await boss.stop({ graceful: false });
    await client.end();
  }
}
