import { MachineryError, MachineryManagerError } from "../../errors";
import type { MachineFacts } from "../records/lab-machine";
import { getGoldenState, type GoldenState, listGoldenStates } from "./golden-state";

/** The value of the setting `golden` for machines that start without one, although they have some. */
const NONE = "none";

/**
 * Finds the golden state that a machine starts from: the one its setting `golden` names, else the newest.
 *
 * @returns undefined when it has none, or is to start without
 * @throws MachineryError for a clone whose machine has none; MachineryManagerError for a name that it has not
 */
export function findGoldenState(
  labFolder: string,
  facts: MachineFacts<{ readonly golden?: string | undefined }>,
): GoldenState | undefined {
  const machine = facts.cloneOf ?? facts.name;
  const wanted = facts.settings.golden;
  if (wanted !== undefined && wanted !== NONE) return getGoldenState(labFolder, machine, wanted);
  const found = wanted === NONE ? undefined : listGoldenStates(labFolder, machine).states[0];
  if (found === undefined && facts.cloneOf !== undefined) {
    throw new MachineryError(
      `${facts.name} is a clone, and ${machine} has no golden state; make one: rebox machine prepare ${machine}`,
    );
  }
  return found;
}

/** Returns whether a machine starts from the golden state of a name. */
export function startsFrom(labFolder: string, facts: MachineFacts, name: string): boolean {
  try {
    return findGoldenState(labFolder, facts)?.name === name;
  } catch (error) {
    if (error instanceof MachineryError || error instanceof MachineryManagerError) return false;
    throw error;
  }
}
