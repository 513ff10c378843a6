import { startsFrom } from "../machinery/golden/choose-golden-state";
import type { LabMachine } from "../machinery/records/lab-machine";
import type { MachineQuery } from "../machinery/records/machine-list";
import type { MachineChoice } from "./target/start-request";

/** Makes a query of what an analysis says of its machine; findOther() has the rest. */
export function toQuery({ platform, osVersion, architecture, tags }: MachineChoice): MachineQuery {
  return {
    ...(platform === undefined ? {} : { platform }),
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(architecture === undefined ? {} : { architecture }),
    tags: new Set(tags),
  };
}

/**
 * Says why a machine that fits a query is none of those that an analysis asks for; undefined when it is one.
 *
 * @param labFolder of the machine, absolute
 */
export function findOther(
  labFolder: string,
  { machinery, golden }: Pick<MachineChoice, "machinery" | "golden">,
  { name, facts }: LabMachine,
): string | undefined {
  if (machinery !== undefined && facts.machineryName !== machinery)
    return `${name} is none of the machinery ${machinery}`;
  if (golden === undefined || startsFrom(labFolder, facts, golden)) return undefined;
  return `${name} does not start from a golden state ${golden}`;
}
