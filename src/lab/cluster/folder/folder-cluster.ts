import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "../open-cluster";
import { FolderDatabase } from "./folder-database";
import { FolderGolden } from "./folder-golden";
import { FolderHosts } from "./folder-hosts";
import { FolderQueue } from "./folder-queue";
import { FolderStore } from "./folder-store";
import { FolderUpkeep } from "./folder-upkeep";

/** A cluster in a folder of one host. */
export interface FolderCluster extends Cluster {
  /** For what this kind of cluster alone has: its history. */
  readonly database: FolderDatabase;
}

/**
 * Connects to a cluster that is a folder of this host: for labs and hosts that are processes of one machine. Nothing is installed for it.
 *
 * @param lab the name of the lab in the cluster
 * @param folder absolute
 * @param makes whether it is made where there is none
 * @throws ClusterError when it is none, or of another version
 */
export function openFolderCluster(lab: string, folder: string, makes: boolean): FolderCluster {
  if (makes) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new FolderDatabase(folder, makes);
  const hosts = new FolderHosts(database);
  return {
    ...{ lab, leaseS: database.leaseS, database, hosts, golden: new FolderGolden(database) },
    upkeep: new FolderUpkeep(database),
    queue: new FolderQueue(database, hosts),
    store: new FolderStore(join(folder, "objects")),
    listen: (onWord) => database.listen(onWord),
    close: async () => database.close(),
  };
}
