import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readMonotonicMs } from "../../../src/config/moment";
import { openFolderCluster } from "../../../src/lab/cluster/folder/folder-cluster";
import { MIGRATIONS as FOLDER_MIGRATIONS } from "../../../src/lab/cluster/folder/folder-schema";
import type { Cluster } from "../../../src/lab/cluster/open-cluster";
import { MIGRATIONS } from "../../../src/lab/cluster/postgres/cluster-schema";
import { openPostgresCluster } from "../../../src/lab/cluster/postgres/postgres-cluster";
import type { HistoryLine } from "./check-history";
import { ACCESS_KEY, ObjectServer, SECRET_KEY } from "./object-server";
import { makeOlderDatabase, makeOlderFolder } from "./older-clusters";
import { PrivatePostgres } from "./postgres";
import { BUCKET, NO_CLUSTER } from "./test-cluster";

/** A cluster of one of the kinds there are, without a lab. */
export interface OpenedKind {
  readonly cluster: Cluster;
  /** Makes it as if a host had not been heard of for a lease, since it began an analysis. */
  lapse(id: string): Promise<void>;
  /** Makes it as if an analysis had failed long ago. */
  age(id: string): Promise<void>;
  /** Makes it as if a host had not been heard of for a lease. */
  silence(host: string): Promise<void>;
  /** Makes it as if the clock of the cluster was set on by so many seconds since all that it has noted: back by less than none. */
  shiftClock(seconds: number): Promise<void>;
  /** Makes it as if a later rebox had changed its tables, and takes that back. */
  setLater(isLater: boolean): Promise<void>;
  /** Whether its clock can be set at all. */
  readonly hasClock: boolean;
  /** The versions of tables before this one, of which a cluster can be made. */
  readonly earlier: readonly number[];
  /**
   * Makes a cluster with tables of an earlier version, in which an analysis of the command "from before" waits.
   *
   * @returns connects to it, and brings it up to date where that is said
   */
  makeOlder(version: number): Promise<(makes: boolean) => Promise<Cluster>>;
  readHistory(): Promise<HistoryLine[]>;
  close(): Promise<void>;
}

/** The kinds of clusters: what holds for one holds for the other. */
export const KINDS: readonly { readonly name: string; readonly skip: string | false; open(): Promise<OpenedKind> }[] = [
  { name: "a folder", skip: false, open: openFolder },
  { name: "PostgreSQL and a bucket", skip: NO_CLUSTER, open: openPostgres },
];

/**
 * The lease of the clusters, in seconds: however long a busy host takes between two steps of a test, it is not half of it. What a test makes older becomes
 * so by an hour.
 */
const LEASE_S = 600;

async function openFolder(): Promise<OpenedKind> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-folder-cluster-"));
  const made = openFolderCluster("lab", folder, true);
  made.database.change("UPDATE facts SET lease_s = ?", LEASE_S);
  await made.close();
  const cluster = openFolderCluster("lab", folder, false);
  const { database } = cluster;
  return {
    cluster,
    lapse: async (id) => {
      database.change("UPDATE analyses SET beat_ms = beat_ms - 3600000 WHERE id = ?", id);
      database.change("UPDATE facts SET looked_ms = ?, ends_from_ms = 0", readMonotonicMs());
    },
    age: async (id) => void database.change("UPDATE analyses SET failed_ms = failed_ms - 3600000 WHERE id = ?", id),
    silence: async (host) => void database.change("UPDATE hosts SET seen_ms = seen_ms - 3600000 WHERE name = ?", host),
    shiftClock: async (seconds) => {
      const ms = seconds * 1_000;
      database.change("UPDATE analyses SET beat_ms = beat_ms - ?, failed_ms = failed_ms - ?", ms, ms);
      database.change("UPDATE hosts SET seen_ms = seen_ms - ?", ms);
      database.change("UPDATE facts SET looked_ms = looked_ms - ?, ends_from_ms = ends_from_ms - ?", ms, ms);
    },
    setLater: async (isLater) => void database.change("UPDATE facts SET version = version + ?", isLater ? 1 : -1),
    hasClock: false,
    earlier: FOLDER_MIGRATIONS.slice(1).map((_text, at) => at + 1),
    makeOlder: async (version) => {
      const place = join(folder, `older-${version}`);
      makeOlderFolder(place, version);
      return async (makes) => openFolderCluster("lab", place, makes);
    },
    readHistory: async () => database.select<HistoryLine>("SELECT * FROM history ORDER BY sequence"),
    close: async () => {
      await cluster.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function openPostgres(): Promise<OpenedKind> {
  const [postgres, server] = [await PrivatePostgres.start(), await ObjectServer.start(BUCKET)];
  const connect = (makes: boolean, name: string, bucket: string) => {
    const store = { bucket: server.url(bucket), region: "us-east-1", access_key: ACCESS_KEY, secret_key: SECRET_KEY };
    return openPostgresCluster("lab", { database: postgres.url(undefined, name), store }, makes, () => undefined);
  };
  const made = await connect(true, "postgres", BUCKET);
  await made.database.query("UPDATE rebox.cluster SET lease_s = $1", [LEASE_S]);
  await made.close();
  const cluster = await connect(false, "postgres", BUCKET);
  const { database } = cluster;
  return {
    cluster,
    lapse: async (id) => {
      await database.query("UPDATE rebox.analyses SET beat = beat - interval '1 hour' WHERE id = $1", [id]);
      const rows = await database.query<{ name: string }>("UPDATE pgboss.job SET heartbeat_on = heartbeat_on - interval '1 hour' WHERE id = $1 RETURNING name", [id]); // prettier-ignore
      // Its own looks are some seconds apart, and one may just have been.
      await database.query("UPDATE pgboss.queue SET monitor_claim_on = NULL, monitor_on = NULL WHERE name = $1", [rows[0]!.name]); // prettier-ignore
      await database.query(
        "UPDATE rebox.cluster SET looked = clock_timestamp(), ends_from = looked - interval '1 hour'",
      );
    },
    age: async (id) =>
      void (await database.query("UPDATE rebox.history SET at = at - interval '1 hour' WHERE analysis = $1", [id])),
    silence: async (host) => void (await database.query("UPDATE rebox.hosts SET seen = seen - interval '1 hour' WHERE name = $1", [host])), // prettier-ignore
    shiftClock: async (seconds) => {
      // At one moment, as a clock is set.
      await database.transact(async (own) => {
        for (const [table, columns] of Object.entries(TIMES)) await own.query(`UPDATE ${table} SET ${columns.map((column) => `${column} = ${column} - interval '${seconds} seconds'`).join(", ")}`); // prettier-ignore
        return true;
      });
    },
    setLater: async (isLater) => void (await database.query("UPDATE rebox.cluster SET version = version + $1", [isLater ? 1 : -1])), // prettier-ignore
    hasClock: true,
    // Each step from the last one is among those from the first one.
    earlier: [1, MIGRATIONS.length - 1],
    makeOlder: async (version) => {
      const name = `older_${version}`;
      await database.query(`CREATE DATABASE ${name}`);
      await makeOlderDatabase(postgres.url(undefined, name), version);
      mkdirSync(server.file(`older-${version}`, ""), { recursive: true });
      return (makes) => connect(makes, name, `older-${version}`);
    },
    readHistory: () => database.query<HistoryLine>("SELECT * FROM rebox.history ORDER BY sequence"),
    close: async () => {
      await cluster.close();
      await server.stop();
      await postgres.stop();
    },
  };
}

/** All times that a cluster in PostgreSQL notes of what has been. */
const TIMES: Readonly<Record<string, readonly string[]>> = {
  "rebox.cluster": ["looked", "ends_from"],
  "rebox.analyses": ["beat", "created"],
  "rebox.hosts": ["seen"],
  "rebox.history": ["at"],
  "pgboss.job": ["created_on", "start_after", "started_on", "heartbeat_on"],
  "pgboss.queue": ["monitor_claim_on", "monitor_on", "maintain_on"],
};
