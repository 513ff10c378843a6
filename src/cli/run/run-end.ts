import { ScriptError } from "../../scripts/errors";
import { ExitStatus, getSignalStatus } from "../exit-status";
import { UsageError } from "../errors";
import type { EngineEnd } from "./run-environment";

/** The reason why a run is over. */
export type RunEnd =
  | { readonly kind: "engine"; readonly end: EngineEnd }
  | { readonly kind: "timeout"; readonly timeoutMs: number }
  | { readonly kind: "signal"; readonly signal: NodeJS.Signals }
  /** Arguments or scripts that do not work. `isReported`: the user has seen the message already. */
  | { readonly kind: "refused"; readonly status: number; readonly message: string; readonly isReported: boolean }
  | { readonly kind: "fault"; readonly error: unknown };

/** Returns the exit status of a run. */
export function getExitStatus(end: RunEnd): number {
  switch (end.kind) {
    case "engine":
      // A panic is the guest's own failure; QEMU and rebox worked.
      if (end.end.cause === "guest-panic") return ExitStatus.failure;
      return end.end.reason === "crashed" ? ExitStatus.engineFault : ExitStatus.success;
    case "timeout":
      return ExitStatus.success;
    case "signal":
      return getSignalStatus(end.signal);
    case "refused":
      return end.status;
    case "fault":
      return ExitStatus.engineFault;
  }
}

/** Returns the sentence that tells the user why a run is over; undefined when there is nothing to say. */
export function describeEnd(end: RunEnd): string | undefined {
  switch (end.kind) {
    case "engine": {
      const message = end.end.message === undefined ? "" : `: ${end.end.message}`;
      if (end.end.cause === "guest-panic") return `the guest panicked${message}`;
      return end.end.reason === "crashed" ? `the engine crashed (${end.end.cause})${message}` : undefined;
    }
    case "timeout":
      return `time limit of ${end.timeoutMs / 1000} s reached; the guest is stopped`;
    case "signal":
      return `${end.signal} received; the guest is stopped (once more ends at once)`;
    case "refused":
      return end.isReported ? undefined : end.message;
    case "fault":
      return `internal error: ${end.error instanceof Error ? (end.error.stack ?? end.error.message) : String(end.error)}`;
  }
}

/**
 * Returns the end that an error of the start means.
 *
 * @param error the error of creating the engine or loading the scripts
 */
export function getRefusal(error: unknown): RunEnd {
  const status = ExitStatus.failure;
  if (error instanceof ScriptError) return { kind: "refused", status, message: error.message, isReported: true };
  if (!(error instanceof Error)) return { kind: "fault", error };
  const { message } = error;
  // By name: importing the engine's classes would load the addon, which not every command has.
  if (error instanceof UsageError || ["EngineUsageError", "RecordingError"].includes(error.name)) {
    return { kind: "refused", status, message, isReported: false };
  }
  if (error.name === "EngineStartError") {
    // QEMU printed its message itself. Its status is 0 when it was asked for help.
    const { exitStatus = status } = error as { exitStatus?: number };
    return { kind: "refused", status: exitStatus, message, isReported: true };
  }
  return { kind: "fault", error };
}

/**
 * Returns the end as members of the JSON log's last line.
 *
 * @param end the reason why the run is over
 */
export function getEndDetail(end: RunEnd): object {
  if (end.kind === "engine") return end.end;
  if (end.kind === "refused") return { reason: end.kind, message: end.message };
  return { reason: end.kind, message: describeEnd(end) };
}
