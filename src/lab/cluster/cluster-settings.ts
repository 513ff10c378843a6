import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ConfigProblems } from "../../config/schema/config-problems";
import { shortenPath } from "../../config/schema/config-file";
import { readSettings } from "../../config/schema/read-settings";
import type { SettingsOf } from "../../config/schema/settings-schema";
import { readYamlFile } from "../../config/schema/yaml-file";
import { ClusterError } from "../errors";
import { writeWhole } from "../machinery/records/machine-file";

const STORE = z.object({
  bucket: z.string().describe("The bucket of a server with the S3 API: http://HOST:PORT/BUCKET."),
  region: z.string().default("us-east-1").describe("The region of the bucket."),
  access_key: z.string().describe("The name by which the server knows this lab."),
  secret_key: z.string().describe("The secret of that name."),
});

/** The settings of conf/cluster.yaml. */
export const CLUSTER_SETTINGS = {
  lab: z.string().describe("The name of this lab in the cluster, which no other lab has."),
  folder: z.string().optional().describe("A folder of this host with the whole cluster; in place of what follows."),
  database: z.string().optional().describe("The PostgreSQL database: postgresql://USER:PASSWORD@HOST:PORT/NAME."),
  store: STORE.optional().describe("The place of samples and results."),
};

/** The places of a cluster of many hosts. */
export interface RemotePlaces {
  /** postgresql://USER:PASSWORD@HOST:PORT/NAME */
  readonly database: string;
  readonly store: z.output<typeof STORE>;
}

/** The cluster of a lab: in a folder of this host, or in a database and a bucket. */
export type ClusterSettings = {
  /** The name of the lab in the cluster. */
  readonly lab: string;
} & ({ readonly folder: string } | (RemotePlaces & { readonly folder?: undefined }));

/** Makes a name for a lab that no other lab of its cluster has. */
export function nameLab(): string {
  return `${hostname()}-${randomBytes(4).toString("hex")}`;
}

/** Returns the file with a lab's cluster. */
export function getClusterFile(labFolder: string): string {
  return join(labFolder, "conf/cluster.yaml");
}

/**
 * Reads the cluster of a lab.
 *
 * @returns undefined when the lab has none: its analyses run on this host
 * @throws ClusterError when the file has a mistake
 */
export function findClusterSettings(labFolder: string): ClusterSettings | undefined {
  const file = getClusterFile(labFolder);
  if (!existsSync(file)) return undefined;
  const problems = new ConfigProblems();
  const map = readYamlFile(shortenPath(file), problems);
  const settings = readSettings(CLUSTER_SETTINGS, map, { problems, folder: labFolder, checksSystem: true });
  const [mistake] = problems.errors;
  if (mistake !== undefined) throw new ClusterError(mistake.message);
  return checkKind(settings, file, labFolder);
}

function checkKind(
  { lab, folder, database, store }: SettingsOf<typeof CLUSTER_SETTINGS>,
  file: string,
  labFolder: string,
): ClusterSettings {
  if (folder !== undefined && database === undefined && store === undefined) return { lab, folder: resolve(labFolder, folder) }; // prettier-ignore
  if (folder === undefined && database !== undefined && store !== undefined) return { lab, database, store };
  throw new ClusterError(`${shortenPath(file)}: a cluster is either \`folder\`, or \`database\` and \`store\``);
}

/** Writes the cluster of a lab, for its owner's eyes alone. */
export function writeClusterSettings(labFolder: string, settings: ClusterSettings): void {
  const file = getClusterFile(labFolder);
  const line = (name: string, value: string) => `${name}: ${JSON.stringify(value)}\n`;
  const places =
    settings.folder === undefined
      ? [line("database", settings.database), "store:\n", ...Object.entries(settings.store).map(([name, value]) => `  ${line(name, value)}`)] // prettier-ignore
      : [line("folder", settings.folder)];
  const first = "# The cluster that this lab's analyses run in: docs/guides/hosts.md. It may have passwords.\n";
  writeWhole(file, [first, line("lab", settings.lab), ...places].join(""), 0o600);
}
