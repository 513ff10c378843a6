import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFolderCluster } from "../../../src/lab/cluster/folder/folder-cluster";
import type { Cluster } from "../../../src/lab/cluster/open-cluster";
import { openPostgresCluster } from "../../../src/lab/cluster/postgres/postgres-cluster";
import type { HistoryLine } from "./check-history";
import { ACCESS_KEY, ObjectServer, SECRET_KEY } from "./object-server";
import { PrivatePostgres } from "./postgres";
import { BUCKET, NO_CLUSTER } from "./test-cluster";

/** A cluster of one of the kinds there are, without a lab. */
export interface OpenedKind {
  readonly cluster: Cluster;
  /** Makes it as if a host had not been heard of for a lease, since it began an analysis. */
  lapse(id: string): Promise<void>;
  /** Makes it as if an analysis had failed long ago. */
  age(id: string): Promise<void>;
  /** Sets the clock by which the queue gives analyses out, so many seconds back; undefined where it has none that could be set. */
  setClockBack: ((seconds: number) => Promise<void>) | undefined;
  readHistory(): Promise<HistoryLine[]>;
  close(): Promise<void>;
}

/** The kinds of clusters: what holds for one holds for the other. */
export const KINDS: readonly { readonly name: string; readonly skip: string | false; open(): Promise<OpenedKind> }[] = [
  { name: "a folder", skip: false, open: async () => openFolder() },
  { name: "PostgreSQL and a bucket", skip: NO_CLUSTER, open: openPostgres },
];

function openFolder(): OpenedKind {
  const folder = mkdtempSync(join(tmpdir(), "rebox-folder-cluster-"));
  const cluster = openFolderCluster("lab", folder, true);
  const { database } = cluster;
  return {
    cluster,
    lapse: async (id) => void database.change("UPDATE analyses SET beat_ms = beat_ms - 3600000 WHERE id = ?", id),
    age: async (id) => void database.change("UPDATE analyses SET failed_ms = failed_ms - 3600000 WHERE id = ?", id),
    setClockBack: undefined,
    readHistory: async () => database.select<HistoryLine>("SELECT * FROM history ORDER BY sequence"),
    close: async () => {
      await cluster.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function openPostgres(): Promise<OpenedKind> {
  const [postgres, server] = [await PrivatePostgres.start(), await ObjectServer.start(BUCKET)];
  const store = { bucket: server.url(BUCKET), region: "us-east-1", access_key: ACCESS_KEY, secret_key: SECRET_KEY };
  const cluster = await openPostgresCluster("lab", { database: postgres.url(), store }, true, () => undefined);
  const { database } = cluster;
  return {
    cluster,
    lapse: async (id) => {
      await database.query("UPDATE rebox.analyses SET beat = beat - interval '1 hour' WHERE id = $1", [id]);
      const rows = await database.query<{ name: string }>("UPDATE pgboss.job SET heartbeat_on = heartbeat_on - interval '1 hour' WHERE id = $1 RETURNING name", [id]); // prettier-ignore
      // Its own looks are five seconds apart, and one may just have been.
      await database.query("UPDATE pgboss.queue SET monitor_claim_on = NULL, monitor_on = NULL WHERE name = $1", [rows[0]!.name]); // prettier-ignore
      await database.boss.supervise(rows[0]!.name);
    },
    age: async (id) =>
      void (await database.query("UPDATE rebox.history SET at = at - interval '1 hour' WHERE analysis = $1", [id])),
    // pg-boss reads the time by this function alone.
    setClockBack: async (seconds) => void (await database.query(`CREATE OR REPLACE FUNCTION pgboss.job_now() RETURNS timestamptz AS $$ SELECT now() - interval '${seconds} seconds' $$ LANGUAGE sql STABLE`)), // prettier-ignore
    readHistory: () => database.query<HistoryLine>("SELECT * FROM rebox.history ORDER BY sequence"),
    close: async () => {
      await cluster.close();
      await server.stop();
      await postgres.stop();
    },
  };
}
