import { resolve } from "node:path";
import { ReboxError } from "../../config/rebox-error";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { ClusterError } from "../../lab/errors";
import { getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";

/** Connects to the cluster of a lab for one command. @throws ClusterError */
export async function withCluster<Result>(
  options: { readonly lab?: string },
  { stderr }: Pick<RunEnvironment, "stderr">,
  use: (cluster: Cluster) => Promise<Result>,
): Promise<Result> {
  const { openCluster } = await import("../../lab/cluster/open-cluster.js");
  const cluster = await openCluster(resolve(getLabFolder(options)), (text) => void stderr.write(`rebox: ${text}\n`));
  try {
    return await use(cluster);
  } catch (error) {
    // Of the database and the network: their errors have codes, mistakes of rebox have none.
    if (error instanceof ReboxError || typeof (error as { code?: unknown }).code !== "string") throw error;
    throw new ClusterError(`the cluster cannot be asked: ${(error as Error).message}`);
  } finally {
    await cluster.close();
  }
}
