import { resolve } from "node:path";
import type { Cluster } from "../../lab/cluster/open-cluster";
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
  } finally {
    await cluster.close();
  }
}
