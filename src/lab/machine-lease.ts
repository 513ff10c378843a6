import { setTimeout as sleep } from "node:timers/promises";
import { MachineryManagerError } from "./errors";
import { CancelledError } from "../config/errors";
import type { LabMachine } from "./machinery/records/lab-machine";
import { type MachineList, type MachineQuery, matchesQuery } from "./machinery/records/machine-list";
import { takeLock } from "./process-lock";

/** The time between two attempts to get a machine that is in use elsewhere. */
const POLL_MS = 500;

/** A machine that is somebody's own until it is released, or this process ends. */
export interface MachineLease {
  readonly machine: LabMachine;
  release(): Promise<void>;
}

export interface LeaseOptions {
  /** The name of its user, for messages: "run 12". */
  readonly owner: string;
  readonly query: MachineQuery;
  readonly signal?: AbortSignal | undefined;
  /** Lists what those want who wait for a machine, too, and come first. */
  listAhead?(): readonly MachineQuery[];
  /** Returns the file whose lock keeps other processes from the machine. */
  getLockFile(machine: LabMachine): string;
}

/**
 * Takes a machine of the pool, among all processes that use the lab; waits until one is free.
 *
 * @throws MachineUnserviceableError when none can ever fit
 * @throws CancelledError
 */
export async function takeMachine(machines: MachineList, options: LeaseOptions): Promise<MachineLease> {
  const { owner, query, signal } = options;
  const what = `waiting for a machine for ${owner}`;
  for (;;) {
    if (signal?.aborted) throw new CancelledError(`${what} was cancelled`);
    const lease = await tryAll(machines, options).catch((error: unknown) => {
      throw error instanceof CancelledError ? new CancelledError(`${what} was cancelled`) : error;
    });
    if (lease !== undefined) return lease;
    // Says at once when nothing that is there can ever fit.
    machines.checkServiceable(query);
    await sleep(POLL_MS, undefined, signal && { signal }).catch(() => {
      throw new CancelledError(`${what} was cancelled`);
    });
  }
}

/** Tries each machine that is free in this process; one that another process has is left alone this time. */
async function tryAll(machines: MachineList, options: LeaseOptions): Promise<MachineLease | undefined> {
  const { owner, query, signal, getLockFile } = options;
  const elsewhere: LabMachine[] = [];
  const ahead = options.listAhead?.() ?? [];
  const mayTake = (machine: LabMachine) => !ahead.some((wanted) => matchesQuery(machine, wanted));
  try {
    for (;;) {
      const machine = machines.acquire(owner, query, mayTake);
      if (machine === undefined) return undefined;
      const unlock = await takeLock(getLockFile(machine), { timeoutMs: 0, signal, owner }).catch((error: unknown) => {
        elsewhere.push(machine);
        if (!(error instanceof MachineryManagerError)) throw error;
        return undefined;
      });
      if (unlock === undefined) continue;
      const release = async () => {
        machine.release();
        await unlock();
      };
      return { machine, release };
    }
  } finally {
    for (const machine of elsewhere) machine.release();
  }
}
