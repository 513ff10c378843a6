import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ConfigMap } from "../config/schema/config-node";
import type { ConfigProblems } from "../config/schema/config-problems";
import { readIniFiles } from "../config/schema/ini-file";
import { readSettings } from "../config/schema/read-settings";
import type { SettingsOf } from "../config/schema/settings-schema";
import { shortenPath } from "../config/schema/config-file";
import { readYamlFile } from "../config/schema/yaml-file";

const seconds = (fallback: number, description: string) =>
  z.int().min(1).max(86_400).default(fallback).describe(`${description}, in seconds.`);

/** The settings of a lab's own configuration: conf/lab.yaml, or [lab] of conf/lab.conf. */
export const LAB_SETTINGS = {
  machineries: z
    .array(z.string().toLowerCase())
    .default([])
    .describe("The machineries in use; without it, all that have machines."),
  max_machines_count: z.int().min(0).default(0).describe("How many machines may be in use at once; 0: all."),
  max_vmstartup_count: z.int().min(0).default(5).describe("How many machines may be starting at once; 0: all."),
  max_analyses_count: z.int().min(1).default(4).describe("How many analyses may run at once."),
  timeouts: z
    .object({
      restore_start: seconds(180, "How long a machine may take to start from its snapshot"),
      norestore_start: seconds(60, "How long a machine may take to start"),
      stop: seconds(60, "How long a machine may take to end at once"),
      acpi_stop: seconds(120, "How long a machine may take to shut down; then it is stopped"),
      memory_dump: seconds(300, "How long writing a machine's memory may take"),
      recheck: seconds(60, "After which a quarantined machine is looked at again"),
    })
    .describe("How long things may take."),
};

export type LabSettings = SettingsOf<typeof LAB_SETTINGS>;

/** Reads the configuration of a lab; defaults where it has none. */
export function readLabSettings(folder: string, problems: ConfigProblems): LabSettings {
  const yaml = join(folder, "conf/lab.yaml");
  const ini = join(folder, "conf/lab.conf");
  let map: ConfigMap = { kind: "map", entries: new Map(), place: { file: shortenPath(yaml), line: 1 } };
  if (existsSync(yaml)) map = readYamlFile(shortenPath(yaml), problems);
  if (existsSync(ini)) {
    const root = readIniFiles([shortenPath(ini)], problems);
    if (existsSync(yaml))
      problems.error(root.place, `${shortenPath(yaml)} configures the lab as well; keep one of the two`);
    const section = root.entries.get("lab");
    if (section?.kind === "map") map = section;
  }
  return readSettings(LAB_SETTINGS, map, { problems, folder, checksSystem: true });
}
