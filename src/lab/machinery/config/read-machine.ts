import type { ConfigMap, ConfigPlace } from "../../../config/schema/config-node";
import { ConfigProblems } from "../../../config/schema/config-problems";
import { findInterfaceProblem } from "../../../config/schema/settings";
import { readSettings } from "../../../config/schema/read-settings";
import type { SettingsOf } from "../../../config/schema/settings-schema";
import type { Machinery } from "../machinery";
import type { MachineFacts } from "../records/lab-machine";
import { getMachineSchema, MACHINE_NAME, type MACHINE_SETTINGS, normalizeArchitecture } from "./machine-settings";

/** One machine of a configuration file. */
export interface ConfiguredMachine {
  /** undefined when there is a mistake in it, or it is not enabled. */
  readonly facts: MachineFacts | undefined;
  readonly place: ConfigPlace;
  readonly problems: ConfigProblems;
}

type CommonValues = SettingsOf<typeof MACHINE_SETTINGS> & { readonly ip: string | undefined };

/**
 * Reads one machine.
 *
 * @param name its name in the lab
 * @param map what the file says about it
 * @param isIni which file it is
 * @param mainInterface the network interface of a machine that names none
 */
export function readMachine(
  machinery: Machinery,
  name: string,
  map: ConfigMap,
  where: { readonly isIni: boolean; readonly folder: string; readonly mainInterface: string | undefined },
): ConfiguredMachine {
  const problems = new ConfigProblems();
  const { place } = map;
  if (!MACHINE_NAME.test(name)) {
    problems.error(
      place,
      `${JSON.stringify(name)} is no name for a machine: letters, digits, and _ . - within, 64 at most`,
    );
  }
  const schema = getMachineSchema(machinery, where.isIni);
  const scope = { problems, folder: where.folder, checksSystem: true };
  const values = readSettings(schema, map, scope);
  const common = values as unknown as CommonValues;
  if (problems.errors.length > 0 || !common.enabled) return { facts: undefined, place, problems };
  warnMissingInterface(common.interface, map, problems);
  const own = Object.entries(values).filter(([key]) => key in machinery.machineSettings);
  const label = machinery.labelKey === undefined ? name : ((values[machinery.labelKey] as string | undefined) ?? name);
  return {
    ...{ place, problems },
    facts: {
      ...{ name, label },
      ip: common.ip,
      platform: common.platform,
      osVersion: common.os_version,
      tags: new Set(common.tags),
      snapshot: common.snapshot,
      macAddress: common.mac_address,
      architecture: common.architecture && normalizeArchitecture(common.architecture),
      interface: common.interface ?? where.mainInterface,
      agentPort: common.agent_port,
      pinsAgent: common.agent_pinning,
      wayIn: common.way_in,
      resultServerIp: common.resultserver_ip,
      resultServerPort: common.resultserver_port,
      isReserved: common.reserved,
      machineryName: machinery.name,
      settings: Object.fromEntries(own),
    },
  };
}

/** Warns of a network interface that this host lacks now: it may be there when the machine starts, which needs it. */
export function warnMissingInterface(name: string | undefined, map: ConfigMap, problems: ConfigProblems): void {
  const node = map.entries.get("interface");
  const problem = name === undefined ? undefined : findInterfaceProblem(name, { mustExist: true });
  if (node?.kind !== "text" || node.isInherited || problem === undefined) return;
  problems.warn(node.place, `"interface" ${problem}; until then no machine that has it starts`);
}

/** Adds a mistake to every machine that has something of another's that must be its own. Nothing is no duplicate. */
export function findDuplicates(machinery: Machinery, machines: ReadonlyMap<string, ConfiguredMachine>): void {
  const kinds: readonly (readonly [string, (facts: MachineFacts) => unknown])[] = [
    ["label", (facts) => facts.label],
    ["ip", (facts) => facts.ip],
    ["mac_address", (facts) => facts.macAddress],
    ...machinery.uniqueSettings.map((name) => [name, (facts: MachineFacts) => facts.settings[name]] as const),
  ];
  for (const [kind, read] of kinds) {
    const first = new Map<unknown, string>();
    for (const [name, { facts, problems, place }] of machines) {
      const value = facts && read(facts);
      if (value === undefined || value === "") continue;
      const other = first.get(value);
      if (other === undefined) first.set(value, name);
      else problems.error(place, `${name} and ${other} have the same ${kind} (${String(value)}); each needs its own`);
    }
  }
}

/** Returns the machines that can be used. */
export function listUsable(machines: ReadonlyMap<string, ConfiguredMachine>): MachineFacts[] {
  return [...machines.values()].flatMap(({ facts, problems }) =>
    facts === undefined || problems.errors.length > 0 ? [] : [facts],
  );
}
