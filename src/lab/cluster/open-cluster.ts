import { ClusterError } from "../errors";
import { ClusterDatabase } from "./cluster-database";
import { ClusterQueue } from "./cluster-queue";
import { type ClusterSettings, findClusterSettings } from "./cluster-settings";
import { S3Store } from "./s3-store";

/** The object that says which cluster a bucket belongs to. */
const MARK = "rebox-cluster.txt";

/** The parts of a cluster that a lab is connected to. */
export interface Cluster {
  /** The name of the lab in the cluster. */
  readonly lab: string;
  /** An attempt without a heartbeat has its analysis so long, in seconds. */
  readonly leaseS: number;
  readonly database: ClusterDatabase;
  readonly queue: ClusterQueue;
  readonly store: S3Store;
  close(): Promise<void>;
}

/**
 * Connects a lab to its cluster.
 *
 * @param log for people: troubles that pass
 * @throws ClusterError when the lab has none, a part cannot be reached, or the bucket is another cluster's
 */
export async function openCluster(labFolder: string, log: (text: string) => void): Promise<Cluster> {
  const settings = findClusterSettings(labFolder);
  if (settings === undefined) throw new ClusterError(`${labFolder} has no cluster; rebox lab init FOLDER --cluster URL makes a lab that has`); // prettier-ignore
  return connectCluster(settings, false, log);
}

/**
 * Makes a cluster of a database and a bucket, or brings it up to date; one that is there stays.
 *
 * @throws ClusterError as openCluster()
 */
export async function makeCluster(settings: ClusterSettings, log: (text: string) => void): Promise<void> {
  const cluster = await connectCluster(settings, true, log);
  await cluster.close();
}

async function connectCluster(
  settings: ClusterSettings,
  makes: boolean,
  log: (text: string) => void,
): Promise<Cluster> {
  const database = await ClusterDatabase.open(settings.database, makes, log);
  try {
    const store = await S3Store.open(settings);
    const { id, leaseS } = await database.readFacts();
    const found = await store.findText(MARK);
    if (found === undefined && makes) await store.putText(MARK, id);
    else if (found !== id) {
      const why = found === undefined ? "belongs to no cluster" : "belongs to another cluster";
      throw new ClusterError(`the bucket ${settings.store.bucket} ${why}; name this cluster's own`);
    }
    const queue = new ClusterQueue(database, leaseS);
    if (makes) await queue.prepare();
    return { lab: settings.lab, leaseS, database, queue, store, close: () => database.close() };
  } catch (error) {
    await database.close();
    throw error;
  }
}
