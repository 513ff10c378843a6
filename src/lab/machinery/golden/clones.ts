import type { MachineFacts } from "../records/lab-machine";

/**
 * Describes the clones of a machine: `max` machines that start from its golden state, each with a disk and a folder of its own.
 *
 * @param facts of the machine of the configuration
 * @returns the facts of NAME#1, NAME#2 ...; none when its machinery has no clones, or the setting is not there
 */
export function describeClones(facts: MachineFacts): MachineFacts[] {
  const { max } = facts.settings as { readonly max?: number };
  return Array.from({ length: max ?? 0 }, (_, index) => {
    const name = `${facts.name}#${index + 1}`;
    return { ...facts, name, label: name, cloneOf: facts.name };
  });
}

/** Returns whether a machine leaves analyses to its clones. */
export function hasClones(facts: MachineFacts): boolean {
  return facts.cloneOf === undefined && ((facts.settings as { readonly max?: number }).max ?? 0) > 0;
}
