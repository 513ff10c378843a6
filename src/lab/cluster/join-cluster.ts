import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { ClusterError } from "../errors";
import { findClusterSettings, getClusterFile, writeClusterSettings } from "./cluster-settings";
import { makeCluster } from "./open-cluster";

/** How a lab reaches its cluster. */
export interface ClusterPlaces {
  /** postgresql://USER:PASSWORD@HOST:PORT/NAME; what is left out comes from the variables that libpq knows, and ~/.pgpass. */
  readonly database: string;
  /** http://HOST:PORT/BUCKET */
  readonly bucket: string;
  readonly region: string | undefined;
  readonly accessKey: string | undefined;
  readonly secretKey: string | undefined;
}

/**
 * Makes a lab part of a cluster, and the cluster, where the database is empty. A lab that has joined it stays the one it was.
 *
 * @returns the file that was written
 * @throws ClusterError when the places are none, or do not belong together
 */
export async function joinCluster(
  labFolder: string,
  places: ClusterPlaces,
  log: (text: string) => void,
): Promise<string> {
  const { database, bucket, region = "us-east-1", accessKey, secretKey } = places;
  if (!/^postgres(ql)?:\/\//.test(database)) throw new ClusterError(`--cluster ${database}: it must be postgresql://USER@HOST:PORT/NAME`); // prettier-ignore
  if (!/^https?:\/\/[^/]+\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/?$/.test(bucket)) throw new ClusterError(`--bucket ${bucket}: it must be http://HOST:PORT/BUCKET`); // prettier-ignore
  if (accessKey === undefined || secretKey === undefined) throw new ClusterError("the bucket's keys are missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"); // prettier-ignore
  const lab = findClusterSettings(labFolder)?.lab ?? `${hostname()}-${randomBytes(4).toString("hex")}`;
  const store = { bucket: bucket.replace(/\/$/, ""), region, access_key: accessKey, secret_key: secretKey };
  const settings = { lab, database, store };
  await makeCluster(settings, log);
  writeClusterSettings(labFolder, settings);
  return getClusterFile(labFolder);
}
