import {
  CuckooMachineError,
  HandlePausedError,
  MachineStateReachedError,
  MachineryManagerError,
  MachineUnexpectedStateError,
  NotSupportedError,
  StateTimeoutError,
} from "../../errors";
import { findCode } from "../../../config/failure-code";
import type { Machinery } from "../machinery";
import type { LabMachine, MachineStatus } from "../records/lab-machine";
import { type ActionLimits, type ActionName, type ActionResult, ACTIONS } from "./action";
import { callBounded, waitForState } from "./wait-for-state";
import { CancelledError } from "../../../config/errors";

export interface ActionRequest {
  readonly action: ActionName;
  readonly machinery: Machinery;
  readonly machine: LabMachine;
  /** Of the file that the action writes. */
  readonly path?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly limits: ActionLimits;
  readonly pollMs: number;
}

/**
 * Carries out one action on a machine, and waits for the state that it leads to. Every failure is a result: after the
 * fallback where there is one, cleaned up, and with the machine quarantined where it is the machine's failure.
 */
export async function runAction(request: ActionRequest): Promise<ActionResult> {
  const { machine, action } = request;
  try {
    const status = await performAction(request, action);
    if (["restoreStart", "norestoreStart", "recordedStart"].includes(action)) machine.errors.length = 0;
    const held = status?.pausedBy;
    return result(machine, true, held === undefined ? undefined : `it is held paused by ${held}`);
  } catch (error) {
    return fail(request, error);
  }
}

/** Performs the action and its fallback; returns what the machine does then. */
async function performAction(request: ActionRequest, action: ActionName): Promise<MachineStatus | undefined> {
  const { machinery, machine, signal, limits, pollMs, path } = request;
  const plan = ACTIONS[action];
  const limitMs = limits[action];
  const beganMs = performance.now();
  try {
    try {
      await callBounded(`${action} of ${machine.name}`, limitMs, signal, (own) =>
        plan.perform(machinery, machine, own, path),
      );
    } catch (error) {
      if (!(error instanceof MachineStateReachedError)) throw error;
    }
    if (plan.expected === undefined) return undefined;
    const timeoutMs = Math.max(0, limitMs - (performance.now() - beganMs));
    return await waitForState(machinery, machine, { states: [plan.expected], timeoutMs, pollMs, signal });
  } catch (error) {
    if (plan.fallback === undefined || !(error instanceof StateTimeoutError)) throw error;
    return performAction(request, plan.fallback);
  }
}

async function fail(request: ActionRequest, error: unknown): Promise<ActionResult> {
  const { machine, machinery, action } = request;
  const plan = ACTIONS[action];
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof NotSupportedError || error instanceof MachineryManagerError) {
    return failure(machine, message, error);
  }
  // An exception of another family is a mistake in the module: which one, is for who wrote it.
  const isExpected = error instanceof CuckooMachineError || error instanceof CancelledError;
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  const reason = isExpected ? message : `machinery ${machinery.name} failed unexpectedly in ${action}: ${stack}`;
  machine.addError(reason);
  if (plan.isHarmless) return failure(machine, reason, error);
  // A machine that was on before is not ours to stop.
  const wasOurs = !(error instanceof MachineUnexpectedStateError);
  const left = plan.cancel === undefined || !wasOurs ? undefined : await cancel(request, plan.cancel);
  const isHarmless = error instanceof CancelledError || error instanceof HandlePausedError;
  if (!isHarmless || left !== undefined) machine.disable(left === undefined ? reason : `${reason}; ${left}`);
  return failure(machine, reason, error);
}

/** Cleans up after a failed or cancelled start. Returns the remaining problem when that fails too. */
async function cancel(request: ActionRequest, action: ActionName): Promise<string | undefined> {
  try {
    await performAction({ ...request, signal: undefined }, action);
    return undefined;
  } catch (error) {
    const problem = `${action} to clean up failed as well: ${error instanceof Error ? error.message : String(error)}`;
    request.machine.addError(problem);
    return problem;
  }
}

function failure(machine: LabMachine, reason: string, error: unknown): ActionResult {
  const code = findCode(error);
  return { ...result(machine, false, reason), ...(code === undefined ? {} : { code }) };
}

function result(machine: LabMachine, success: boolean, reason: string | undefined): ActionResult {
  return { success, reason, state: machine.state, isQuarantined: machine.isDisabled };
}
