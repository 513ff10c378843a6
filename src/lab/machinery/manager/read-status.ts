import { MachineryUnhandledStateError } from "../errors";
import type { Machinery } from "../machinery";
import type { LabMachine } from "../records/lab-machine";
import { isMachineState, MACHINE_STATES, type MachineStatus } from "../records/machine-state";
import { callBounded } from "./bounded-call";

/** One look at a machine takes no longer. */
export const STATE_LIMIT_MS = 20_000;

/**
 * Asks a machinery what a machine does, and remembers it.
 *
 * @throws MachineryUnhandledStateError when it answers something that is no state; whatever the machinery throws
 */
export async function readStatus(
  machinery: Machinery,
  machine: LabMachine,
  signal: AbortSignal | undefined,
): Promise<MachineStatus> {
  const answer: unknown = await callBounded(`state of ${machine.name}`, STATE_LIMIT_MS, signal, (own) =>
    machinery.state(machine, own),
  );
  const status = (typeof answer === "object" && answer !== null ? answer : { state: answer }) as MachineStatus;
  if (!isMachineState(status.state)) {
    const problem = `${machine.name}: its machinery ${machinery.name} tells of the state ${JSON.stringify(status.state)}`;
    throw new MachineryUnhandledStateError(`${problem}, which is none of ${MACHINE_STATES.join(", ")}`);
  }
  machine.setState(status.state);
  if (status.state === "paused") machine.pausedBy = status.pausedBy ?? machine.pausedBy;
  return { ...status, ...(status.state === "paused" ? { pausedBy: machine.pausedBy } : {}) };
}
