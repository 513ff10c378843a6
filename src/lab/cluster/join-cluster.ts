import { resolve } from "node:path";
import { ClusterError } from "../errors";
import {
  type ClusterSettings,
  findClusterSettings,
  getClusterFile,
  nameLab,
  writeClusterSettings,
} from "./cluster-settings";
import { makeCluster } from "./open-cluster";

/** How a lab reaches its cluster. */
export interface ClusterPlaces {
  /**
   * postgresql://USER:PASSWORD@HOST:PORT/NAME; what is left out comes from the variables that libpq knows, and ~/.pgpass. Or a folder of this
   * host, with the whole cluster.
   */
  readonly cluster: string;
  /** http://HOST:PORT/BUCKET */
  readonly bucket: string | undefined;
  readonly region: string | undefined;
  readonly accessKey: string | undefined;
  readonly secretKey: string | undefined;
}

/**
 * Makes a lab part of a cluster, and the cluster, where there is none yet. A lab that has joined it stays the one it was.
 *
 * @returns the file that was written
 * @throws ClusterError when the places are none, or do not belong together
 */
export async function joinCluster(
  labFolder: string,
  places: ClusterPlaces,
  log: (text: string) => void,
): Promise<string> {
  const lab = findClusterSettings(labFolder)?.lab ?? nameLab();
  const settings: ClusterSettings = { lab, ...readPlaces(places) };
  await makeCluster(settings, log);
  writeClusterSettings(labFolder, settings);
  return getClusterFile(labFolder);
}

function readPlaces({ cluster, bucket, region = "us-east-1", accessKey, secretKey }: ClusterPlaces) {
  const isUrl = /^\w+:\/\//.test(cluster);
  if (!isUrl) {
    if (bucket !== undefined) throw new ClusterError(`--cluster ${cluster} is a folder, which has the results, too; leave --bucket out`); // prettier-ignore
    return { folder: resolve(cluster) };
  }
  if (!/^postgres(ql)?:\/\//.test(cluster)) throw new ClusterError(`--cluster ${cluster}: it must be postgresql://USER@HOST:PORT/NAME, or a folder`); // prettier-ignore
  if (bucket === undefined) throw new ClusterError("a cluster of many hosts needs a bucket, too; name it by --bucket");
  if (!/^https?:\/\/[^/]+\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/?$/.test(bucket)) throw new ClusterError(`--bucket ${bucket}: it must be http://HOST:PORT/BUCKET`); // prettier-ignore
  if (accessKey === undefined || secretKey === undefined) throw new ClusterError("the bucket's keys are missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"); // prettier-ignore
  const store = { bucket: bucket.replace(/\/$/, ""), region, access_key: accessKey, secret_key: secretKey };
  return { database: cluster, store };
}
