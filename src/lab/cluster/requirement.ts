import { createHash } from "node:crypto";
import type { AnalysisRequest } from "../analysis/analysis-database";
import { describeQuery, type MachineQuery, matchesQuery } from "../machinery/records/machine-list";
import type { LabMachine } from "../machinery/records/lab-machine";

/** The machines that an analysis can have. Analyses with the same requirement wait in one queue. */
export interface Requirement {
  /** The name of a host, on which alone it runs. */
  readonly host?: string;
  /** The name of a machine, or of one that has clones. */
  readonly machine?: string;
  readonly platform?: string;
  readonly osVersion?: string;
  readonly architecture?: string;
  readonly machinery?: string;
  /** Sorted, each once. */
  readonly tags?: readonly string[];
}

/** Returns what an analysis requires, with nothing that it does not. */
export function getRequirement({ machine, choice = {}, host }: AnalysisRequest): Requirement {
  const { platform, tags = [], osVersion, architecture, machinery } = choice;
  const given = {
    ...{ host, machine, platform, osVersion, architecture, machinery },
    tags: tags.length === 0 ? undefined : [...new Set(tags)].toSorted(),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Names the queue of a requirement. */
export function nameQueue(requirement: Requirement): string {
  const text = JSON.stringify(Object.entries(requirement).toSorted(([one], [other]) => (one < other ? -1 : 1)));
  return `analyses-${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

/** Returns whether a machine of a host can have an analysis. */
export function fitsMachine(requirement: Requirement, hostName: string, machine: LabMachine): boolean {
  const { host, machinery } = requirement;
  if (host !== undefined && host !== hostName) return false;
  if (machinery !== undefined && machinery !== machine.facts.machineryName) return false;
  return matchesQuery(machine, toQuery(requirement));
}

/** Writes a requirement, for messages. */
export function describeRequirement(requirement: Requirement): string {
  const { host, machinery } = requirement;
  const more = [host && `on the host ${host}`, machinery && `of the machinery ${machinery}`].filter(Boolean);
  return [`a machine ${describeQuery(toQuery(requirement))}`, ...more].join(" ");
}

function toQuery({ machine, platform, osVersion, architecture, tags = [] }: Requirement): MachineQuery {
  return {
    ...(machine === undefined ? {} : { name: machine }),
    ...(platform === undefined ? {} : { platform }),
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(architecture === undefined ? {} : { architecture }),
    tags: new Set(tags),
  };
}
