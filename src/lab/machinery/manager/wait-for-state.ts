import { setTimeout as sleep } from "node:timers/promises";
import { CuckooMachineError, MachineryError } from "../errors";
import type { Machinery } from "../machinery";
import type { LabMachine } from "../records/lab-machine";
import type { MachineState, MachineStatus } from "../records/machine-state";
import { callBounded } from "./bounded-call";
import { CancelledError } from "../../../config/errors";
import { readStatus, STATE_LIMIT_MS } from "./read-status";

/** A machine did not get into a state in time. */
export class StateTimeoutError extends CuckooMachineError {
  override readonly name = "StateTimeoutError";
}

/** A machine that is paused cannot be let go; it is as good as before. */
export class HandlePausedError extends CuckooMachineError {
  override readonly name = "HandlePausedError";
}

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
