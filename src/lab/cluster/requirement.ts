import { createHash } from "node:crypto";
import type { AnalysisRequest } from "../analysis/analysis-database";
import { findOther, toQuery } from "../analysis/choose-machine";
import { type MachineQuery, matchesQuery } from "../machinery/records/machine-list";
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
  /** The golden state that the machine starts from. */
  readonly golden?: string;
  /** Sorted, each once. */
  readonly tags?: readonly string[];
}

/** Returns what an analysis requires, with nothing that it does not. */
export function getRequirement({ machine, choice = {}, host }: AnalysisRequest): Requirement {
  const { platform, tags = [], osVersion, architecture, machinery, golden } = choice;
  const given = {
    ...{ host, machine, platform, osVersion, architecture, machinery, golden },
    tags: tags.length === 0 ? undefined : [...new Set(tags)].toSorted(),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Names the queue of a requirement. */
export function nameQueue(requirement: Requirement): string {
  const text = JSON.stringify(Object.entries(requirement).toSorted(([one], [other]) => (one < other ? -1 : 1)));
  return `analyses-${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}

/** Returns whether a machine of a host can have an analysis. @param labFolder of that host */
export function fitsMachine(
  requirement: Requirement,
  { host: hostName, labFolder }: { readonly host: string; readonly labFolder: string },
  machine: LabMachine,
): boolean {
  if (requirement.host !== undefined && requirement.host !== hostName) return false;
  return matchesQuery(machine, toWholeQuery(requirement)) && findOther(labFolder, requirement, machine) === undefined;
}

function toWholeQuery({ machine: name, ...choice }: Requirement): MachineQuery {
  return { ...toQuery(choice), ...(name === undefined ? {} : { name }) };
}
