import { ClusterError } from "../../errors";
import type { RemotePlaces } from "../cluster-settings";
import type { Cluster, ClusterWord } from "../open-cluster";
import { S3Store } from "../s3-store";
import { ClusterDatabase } from "./cluster-database";
import { PostgresGolden } from "./postgres-golden";
import { PostgresHosts } from "./postgres-hosts";
import { PostgresQueue } from "./postgres-queue";
import { PostgresUpkeep } from "./postgres-upkeep";

/** The object that says which cluster a bucket belongs to. */
const MARK = "rebox-cluster.txt";

/** A cluster of a database and a bucket. */
export interface PostgresCluster extends Cluster {
  /** For what this kind of cluster alone has: its history. */
  readonly database: ClusterDatabase;
}

/**
 * Connects to a cluster of a database and a bucket.
 *
 * @param lab the name of the lab in the cluster
 * @param makes whether it is made, or brought up to date
 * @param log for people: troubles that pass
 * @throws ClusterError when a part cannot be reached, is of another version, or the bucket is another cluster's
 */
export async function openPostgresCluster(
  lab: string,
  places: RemotePlaces,
  makes: boolean,
  log: (text: string) => void,
): Promise<PostgresCluster> {
  const database = await ClusterDatabase.open(places.database, makes, log);
  try {
    const store = await S3Store.open(places.store);
    const { id, leaseS } = await database.readFacts();
    const found = await store.findText(MARK);
    if (found === undefined && makes) await store.putText(MARK, id);
    else if (found !== id) {
      const why = found === undefined ? "belongs to no cluster" : "belongs to another cluster";
      throw new ClusterError(`the bucket ${places.store.bucket} ${why}; name this cluster's own`);
    }
    const queue = new PostgresQueue(database, leaseS);
    if (makes) await queue.prepare();
    return {
      ...{ lab, leaseS, database, queue, store },
      ...{ hosts: new PostgresHosts(database, leaseS), golden: new PostgresGolden(database) },
      upkeep: new PostgresUpkeep(database),
      listen: (onWord, hearsEnds) => database.listen((payload) => onWord(payload as ClusterWord), hearsEnds),
      close: () => database.close(),
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}
