import type { AnalysisQueue, TakenAttempt } from "../../lab/cluster/analysis-queue";
import { fitsMachine, type Requirement } from "../../lab/cluster/requirement";
import type { Lab } from "../../lab/lab";
import { hasClones } from "../../lab/machinery/golden/clones";
import type { LabMachine } from "../../lab/machinery/records/lab-machine";

/** An analysis that was taken for a machine, which is leased for it. */
export interface TakenForMachine {
  readonly taken: TakenAttempt;
  /** Ends the lease. */
  release(): Promise<void>;
}

/** A host that looks for work. */
export interface TakingHost {
  readonly host: string;
  readonly lab: Lab;
  readonly queue: AnalysisQueue;
  /** The sets of queues in which nothing was found at this look: other machines need not ask again. */
  readonly empty: Set<string>;
}

/**
 * Takes the next analysis that a machine can have, while the machine is free: it is leased first, so none is taken that would wait here.
 *
 * @returns undefined when there is none, the machine is in use, or leaves analyses to its clones
 */
export async function takeForMachine(
  machine: LabMachine,
  { host, lab, queue, empty }: TakingHost,
): Promise<TakenForMachine | undefined> {
  if (hasClones(machine.facts)) return undefined;
  const fits = (requirement: Requirement) => fitsMachine(requirement, { host, labFolder: lab.folder }, machine);
  const names = await queue.listFitting(fits);
  const fitting = names.join(" ");
  if (fitting === "" || empty.has(fitting)) return undefined;
  // Without a lease first: that takes processes, and nearly always nothing waits.
  if (!(await queue.hasWaiting(names))) {
    empty.add(fitting);
    return undefined;
  }
  const lease = await lab.takeFree(`the host ${host}`, machine.name);
  if (lease === undefined) return undefined;
  let taken: TakenAttempt | undefined;
  try {
    taken = await queue.take({ host, machine: machine.name, fits });
  } finally {
    if (taken === undefined) {
      empty.add(fitting);
      await lease.release();
    }
  }
  return taken && { taken, release: () => lease.release() };
}
