import { openDatabase } from "../../lab/analysis/analysis-places";
import type { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { findClusterSettings } from "../../lab/cluster/cluster-settings";
import { getAttemptPrefix, getContentKey, SHA256 } from "../../lab/cluster/artefact-store";
import { type Cluster, openCluster } from "../../lab/cluster/open-cluster";
import { chooseOld, CONTENT_KEPT_MS, type OldAnalysis, type Retention } from "../../lab/keeping/choose-old";
import { removeOld } from "../../lab/keeping/remove-old";
import { HandedIn } from "./handed-in";
import { HeldAttempts } from "./held-attempts";

/** The end of what a lab need not keep. */
export interface Pruning {
  readonly old: readonly OldAnalysis[];
  /** How many files were removed from the store of the lab's cluster. */
  readonly stored: number;
}

/**
 * Removes analyses of a lab, and in a lab of a cluster what the cluster has of them, and of others that the lab has no more.
 *
 * @param isTrial whether nothing is removed
 * @param log for people: troubles that pass
 * @throws ClusterError when the cluster cannot be reached: nothing was removed then
 */
export async function pruneLab(
  labFolder: string,
  retention: Retention,
  isTrial: boolean,
  log: (text: string) => void,
): Promise<Pruning> {
  const database = openDatabase(labFolder);
  try {
    // What a host of a cluster has not delivered yet is not old.
    const held = new Set(new HeldAttempts(database).list().map(({ id }) => id));
    const old = chooseOld(labFolder, database, retention, Date.now()).filter(({ found }) => !held.has(found.id));
    if (isTrial) return { old, stored: 0 };
    const isClustered = findClusterSettings(labFolder) !== undefined;
    const cluster = isClustered ? await openCluster(labFolder, log) : undefined;
    try {
      const handedIn = new HandedIn(database);
      for (const each of old) {
        removeOld(labFolder, database, each);
        handedIn.remove(each.found.id);
      }
      return { old, stored: cluster === undefined ? 0 : await pruneCluster(cluster, database) };
    } finally {
      await cluster?.close();
    }
  } finally {
    database.close();
  }
}

/** Removes what a cluster has of analyses that the lab has no more. @returns how many files were removed from the store */
async function pruneCluster({ upkeep, store, lab, golden }: Cluster, database: AnalysisDatabase): Promise<number> {
  let count = 0;
  for (const { id, number } of await upkeep.listCollected(lab)) {
    if (database.find(number) !== undefined) continue;
    // The files first: a row that stays is found again.
    const keys = await store.list(getAttemptPrefix(id));
    await store.remove(keys);
    await upkeep.forget([id]);
    count += keys.length;
  }
  const needed = new Set([...(await upkeep.listNeeded()), ...(await golden.list()).flatMap(({ files }) => files.flatMap(({ pieces }) => pieces))].filter((sha256) => SHA256.test(sha256)).map(getContentKey)); // prettier-ignore
  const unneeded = (await store.listOlder("content/", CONTENT_KEPT_MS)).filter((key) => !needed.has(key));
  await store.remove(unneeded);
  return count + unneeded.length;
}
