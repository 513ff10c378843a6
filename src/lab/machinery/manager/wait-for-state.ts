import { setTimeout as sleep } from "node:timers/promises";
import { CancelledError, TimeLimitError } from "../../../config/errors";
import { callAsyncWithin } from "../../../config/limits";
import {
  HandlePausedError,
  MachineryConnectionError,
  MachineryError,
  StateTimeoutError,
  MachineryUnhandledStateError,
} from "../../errors";
import type { Machinery } from "../machinery";
import {
  isMachineState,
  type LabMachine,
  MACHINE_STATES,
  type MachineState,
  type MachineStatus,
} from "../records/lab-machine";

export interface WaitOptions {
  /** Any of these ends the waiting. */
  readonly states: readonly MachineState[];
  readonly timeoutMs: number;
  readonly pollMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Waits until a machine is in a state. A machine that its snapshot has left paused is let go once; one that somebody
 * holds paused is not, and counts as running.
 *
 * @returns what the machine does then
 * @throws StateTimeoutError naming the state that was seen last
 * @throws MachineryError when the machine fails, or goes off instead
 * @throws CancelledError
 */
export async function waitForState(
  machinery: Machinery,
  machine: LabMachine,
  options: WaitOptions,
): Promise<MachineStatus> {
  const { states, timeoutMs, pollMs, signal } = options;
  const wantsRunning = states.includes("running");
  const endMs = performance.now() + timeoutMs;
  let wasOn = machinery.startsAtOnce;
  let isHandled = false;
  for (;;) {
    const status = await readStatus(machinery, machine, signal);
    const { state, reason, pausedBy } = status;
    if (states.includes(state)) return status;
    const why = reason === undefined ? "" : ` (${reason})`;
    if (state === "error") throw new MachineryError(`${machine.name} is in a state of error${why}`);
    if (wantsRunning && state === "paused") {
      if (pausedBy !== undefined) return status;
      if (!isHandled) await letGo(machinery, machine, signal);
      isHandled = true;
    } else if (wantsRunning && state === "poweroff" && wasOn) {
      throw new MachineryError(`${machine.name} went off while it was starting${why}; look at its console or log`);
    }
    wasOn ||= state !== "poweroff";
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) {
      const expected = states.join(" or ");
      throw new StateTimeoutError(
        `${machine.name} is still ${state}${why} after ${timeoutMs / 1000} s; expected ${expected}`,
      );
    }
    await sleep(Math.min(pollMs, leftMs), undefined, signal && { signal }).catch(() => {
      throw new CancelledError(`waiting for ${machine.name} was cancelled`);
    });
  }
}

async function letGo(machinery: Machinery, machine: LabMachine, signal: AbortSignal | undefined): Promise<void> {
  try {
    await callBounded(`handlePaused of ${machine.name}`, STATE_LIMIT_MS, signal, (own) =>
      machinery.handlePaused(machine, own),
    );
  } catch (error) {
    if (error instanceof CancelledError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new HandlePausedError(`${machine.name} is paused and cannot be let go: ${reason}`);
  }
}

/** One look at a machine takes no longer. */
export const STATE_LIMIT_MS = 20_000;

/**
 * Asks a machinery for a machine's state, and remembers it.
 *
 * @throws MachineryUnhandledStateError when it answers something that is no state; the errors of the machinery
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

/**
 * Calls something of a machinery that may hang, and waits no longer than it may take.
 *
 * @param what for the message: "state of win10"
 * @param limitMs after which its signal is aborted, and the wait ends
 * @param signal of who asked for it
 * @param call gets a signal that covers both
 * @throws MachineryConnectionError when it takes too long; CancelledError when the outer signal is aborted
 */
export async function callBounded<Result>(
  what: string,
  limitMs: number,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<Result> | Result,
): Promise<Result> {
  try {
    return await callAsyncWithin(what, limitMs, signal, call);
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    throw new MachineryConnectionError(`${what}: no answer within ${limitMs / 1000} s`);
  }
}
