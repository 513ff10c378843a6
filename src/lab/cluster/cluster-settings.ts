import { existsSync } from "node:fs";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ConfigProblems } from "../../config/schema/config-problems";
import { shortenPath } from "../../config/schema/config-file";
import { readSettings } from "../../config/schema/read-settings";
import type { SettingsOf } from "../../config/schema/settings-schema";
import { readYamlFile } from "../../config/schema/yaml-file";
import { ClusterError } from "../errors";

/** The settings of conf/cluster.yaml. */
export const CLUSTER_SETTINGS = {
  lab: z.string().describe("The name of this lab in the cluster, which no other lab has."),
  database: z.string().describe("The PostgreSQL database: postgresql://USER:PASSWORD@HOST:PORT/NAME."),
  store: z
    .object({
      bucket: z.string().describe("The bucket of a server with the S3 API: http://HOST:PORT/BUCKET."),
      region: z.string().default("us-east-1").describe("The region of the bucket."),
      access_key: z.string().describe("The name by which the server knows this lab."),
      secret_key: z.string().describe("The secret of that name."),
    })
    .describe("The place of samples and results."),
};

export type ClusterSettings = SettingsOf<typeof CLUSTER_SETTINGS>;

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
  return settings;
}

/** Writes the cluster of a lab, for its owner's eyes alone. */
export function writeClusterSettings(labFolder: string, { lab, database, store }: ClusterSettings): void {
  const file = getClusterFile(labFolder);
  const line = (name: string, value: string) => `${name}: ${JSON.stringify(value)}\n`;
  const text = [
    "# The cluster that this lab's analyses run in: docs/guides/hosts.md. It has passwords.\n",
    ...[line("lab", lab), line("database", database), "store:\n"],
    ...Object.entries(store).map(([name, value]) => `  ${line(name, value)}`),
  ].join("");
  writeFileSync(file, text, { mode: 0o600 });
  chmodSync(file, 0o600);
}
