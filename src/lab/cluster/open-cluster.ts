import { ClusterError } from "../errors";
import type { AnalysisQueue } from "./analysis-queue";
import type { ArtefactStore } from "./artefact-store";
import { type ClusterSettings, findClusterSettings } from "./cluster-settings";
import type { GoldenList } from "./golden-list";
import type { HostList } from "./host-list";
import type { Upkeep } from "./upkeep";

/** The words by which the members of a cluster wake each other; "" after a gap in which some may have been missed. */
export type ClusterWord = "work" | "ended" | "cancelled" | "queues" | "golden" | "";

/** The parts of a cluster that a lab is connected to. */
export interface Cluster {
  /** The name of the lab in the cluster. */
  readonly lab: string;
  /** An attempt without a heartbeat has its analysis so long, in seconds. */
  readonly leaseS: number;
  readonly queue: AnalysisQueue;
  readonly hosts: HostList;
  readonly golden: GoldenList;
  readonly upkeep: Upkeep;
  readonly store: ArtefactStore;
  /** Calls back for each word of another member. @param hearsEnds whether for "ended", too: there are many, and only labs want them */
  listen(onWord: (word: ClusterWord) => void, hearsEnds?: boolean): void;
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
  return connect(settings, false, log);
}

/**
 * Makes a cluster, or brings it up to date; one that is there stays.
 *
 * @throws ClusterError as openCluster()
 */
export async function makeCluster(settings: ClusterSettings, log: (text: string) => void): Promise<void> {
  const cluster = await connect(settings, true, log);
  await cluster.close();
}

/** Each kind is loaded by those who use it alone. */
async function connect(settings: ClusterSettings, makes: boolean, log: (text: string) => void): Promise<Cluster> {
  if (settings.folder !== undefined) {
    const { openFolderCluster } = await import("./folder/folder-cluster.js");
    return openFolderCluster(settings.lab, settings.folder, makes);
  }
  const { openPostgresCluster } = await import("./postgres/postgres-cluster.js");
  return openPostgresCluster(settings.lab, settings, makes, log);
}
