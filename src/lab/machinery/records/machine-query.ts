import type { LabMachine } from "./lab-machine";

/** What a machine has to be. */
export interface MachineQuery {
  /** Exactly this one, reserved or not. */
  readonly name?: string;
  readonly platform?: string;
  readonly osVersion?: string;
  /** x86 is content with x64, but takes x86 where there is one. */
  readonly architecture?: string;
  /** All of them. */
  readonly tags?: ReadonlySet<string>;
}

/**
 * Tells whether a machine is what is asked for, whatever goes on with it.
 *
 * @throws TypeError when the tags are no Set
 */
export function matchesQuery(machine: LabMachine, query: MachineQuery): boolean {
  const { name, platform, osVersion, architecture, tags } = query;
  if (tags !== undefined && !(tags instanceof Set)) throw new TypeError("tags must be a Set of texts");
  const { facts } = machine;
  if (name !== undefined && name !== facts.name && name !== facts.label) return false;
  if (name === undefined && facts.isReserved) return false;
  if (platform !== undefined && platform !== facts.platform) return false;
  if (osVersion !== undefined && osVersion !== facts.osVersion) return false;
  const architectures = architecture === "x86" ? ["x86", "x64"] : [architecture];
  if (architecture !== undefined && !architectures.includes(facts.architecture)) return false;
  return [...(tags ?? [])].every((tag) => facts.tags.has(tag));
}

/** Orders machines that match: the architecture that was asked for, then the one that rested longest. */
export function compareMachines(query: MachineQuery): (left: LabMachine, right: LabMachine) => number {
  const differs = (machine: LabMachine) => Number(machine.facts.architecture !== query.architecture);
  return (left, right) =>
    (query.architecture === undefined ? 0 : differs(left) - differs(right)) || left.changedMs - right.changedMs;
}

/** Writes what is asked for, for messages. */
export function describeQuery({ name, platform, osVersion, architecture, tags }: MachineQuery): string {
  const parts = [
    name === undefined ? "" : `named ${name}`,
    platform === undefined ? "" : `for ${[platform, osVersion].filter(Boolean).join(" ")}`,
    architecture === undefined ? "" : `with architecture ${architecture}`,
    tags === undefined || tags.size === 0 ? "" : `with tags ${[...tags].join(", ")}`,
  ];
  return parts.filter((part) => part !== "").join(" ") || "of any kind";
}
