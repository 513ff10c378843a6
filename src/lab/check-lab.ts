import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { ConfigProblems } from "../config/schema/config-problems";
import { findNearestName } from "../config/nearest-name";
import { listUsable } from "./machinery/config/read-machine";
import { createMachineryContext } from "./machinery-context";
import { type MachineryConfig, readMachineryConfig } from "./machinery/config/read-machinery-config";
import { MachineryManagerError } from "./errors";
import type { Machinery, MachineryCapabilities } from "./machinery/machinery";
import { findMachineries } from "./find-machineries";
import { readLabSettings } from "./lab-settings";
import { listRefusedSignatures } from "./verdict/signature-catalog";
import { findYaraRules } from "./yara/yara-rules";
import type { Doors } from "../scripts/loading/doors";

/** A machinery that is configured. */
export interface CheckedMachinery {
  /** The number of its machines that can be used; undefined when its module makes them as the lab is opened. */
  readonly count: number | undefined;
  readonly capabilities: MachineryCapabilities;
}

/** The findings of a check of a lab's configuration. */
export interface LabCheck {
  readonly problems: ConfigProblems;
  /** Modules that cannot be used. */
  readonly failures: readonly string[];
  /** The machineries in use, by their names. */
  readonly machineries: ReadonlyMap<string, CheckedMachinery>;
}

/**
 * Reads all of a lab's configuration and collects every mistake. No hypervisor is asked.
 *
 * @throws MachineryManagerError when there is no lab in the folder
 */
export async function checkLab(folder: string, api: Doors): Promise<LabCheck> {
  const path = resolve(folder);
  if (!existsSync(join(path, "conf"))) {
    throw new MachineryManagerError(`${path} is no lab: it has no folder conf; make one with rebox lab init ${folder}`);
  }
  const problems = new ConfigProblems();
  readLabSettings(path, problems);
  const { machineries, errors } = await findMachineries(path, api);
  const checked = new Map<string, CheckedMachinery>();
  const owners = new Map<string, string>();
  for (const [name, machinery] of machineries) {
    const config = readMachineryConfig(machinery, path);
    if (config === undefined) continue;
    problems.addAll(config.problems);
    for (const [machine, { place, problems: own }] of config.machines) {
      problems.addAll(own);
      const other = owners.get(machine);
      if (other !== undefined) problems.error(place, `a machine of ${other} is named ${machine} as well; rename one`);
      owners.set(machine, name);
    }
    const refused = config.problems.errors.length > 0 ? 0 : addRefusals(machinery, config, path, problems);
    const { makesMachines, capabilities } = machinery;
    checked.set(name, {
      count: makesMachines ? undefined : listUsable(config.machines).length - refused,
      capabilities,
    });
  }
  warnStrayFiles(path, [...machineries.keys()], problems);
  const failures = [...errors, ...(await listRefusedSignatures(path, api))].map(({ message }) => message);
  failures.push(...(await listYaraProblems(path)));
  return { problems, failures, machineries: checked };
}

/** Lists the files of YARA rules that cannot be used, or why none can. */
async function listYaraProblems(folder: string): Promise<string[]> {
  try {
    return [...(await findYaraRules(folder)).broken];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** Adds why a machinery refuses some of its machines, which are configured without a mistake. @returns how many it refuses */
function addRefusals(machinery: Machinery, config: MachineryConfig, folder: string, problems: ConfigProblems): number {
  machinery.attach(createMachineryContext(machinery, config, folder, () => undefined));
  let count = 0;
  for (const facts of listUsable(config.machines)) {
    const refusal = machinery.findRefusal(facts);
    if (refusal === undefined) continue;
    count++;
    problems.error(config.machines.get(facts.name)!.place, `machine ${facts.name} is not used: ${refusal}`);
  }
  return count;
}

/** A file that configures no machinery is probably misnamed. */
function warnStrayFiles(folder: string, known: readonly string[], problems: ConfigProblems): void {
  const files = [
    ...list(join(folder, "conf"), ".conf").filter((file) => basename(file) !== "lab.conf"),
    ...list(join(folder, "conf/machineries"), ".yaml"),
  ];
  for (const file of files) {
    const name = basename(file).replace(/\.(conf|yaml)$/, "");
    if (known.includes(name) || name === "auxiliary") continue;
    const nearest = findNearestName(name, known);
    const hint = nearest === undefined ? `known are ${known.join(", ")}` : `did you mean ${nearest}?`;
    problems.warn({ file, line: 1 }, `there is no machinery ${name}, so this file is not read; ${hint}`);
  }
}

function list(folder: string, suffix: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .map((name) => join(folder, name));
}
