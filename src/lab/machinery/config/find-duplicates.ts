import type { Machinery } from "../machinery";
import type { MachineFacts } from "../records/lab-machine";
import type { ConfiguredMachine } from "./read-machine";

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
