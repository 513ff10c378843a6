import { MachineryManagerError } from "../../errors";
import type { Machinery } from "../machinery";
import type { LabMachine, MachineState } from "../records/lab-machine";

/** The actions that the manager carries out. */
export const ACTION_NAMES = [
  "restoreStart",
  "norestoreStart",
  "recordedStart",
  "startToFreeze",
  "freeze",
  "stop",
  "acpiStop",
  "dumpMemory",
  "screenshot",
  "pause",
  "resume",
] as const;

export type ActionName = (typeof ACTION_NAMES)[number];

/** The time limits of actions, in milliseconds. */
export type ActionLimits = Readonly<Record<ActionName, number>>;

/** Those of Cuckoo3's manager, where it has them. */
export const DEFAULT_LIMITS_MS: ActionLimits = {
  restoreStart: 180_000,
  norestoreStart: 60_000,
  // Summing up the disk's image.
  recordedStart: 180_000,
  // Reserving the disk's space for RAM.
  startToFreeze: 180_000,
  freeze: 300_000,
  stop: 60_000,
  acpiStop: 120_000,
  // Copying some gigabytes to a disk.
  dumpMemory: 300_000,
  screenshot: 30_000,
  pause: 30_000,
  resume: 30_000,
};

/** The call that an action makes, and the states that it leads to. */
export interface ActionPlan {
  /** The state that ends the waiting; undefined when the action is done when its function returns. */
  readonly expected: MachineState | undefined;
  /** The action that is tried when the state is not reached in time. */
  readonly fallback?: ActionName;
  /** The action that cleans up when this one fails. */
  readonly cancel?: ActionName;
  /** A failure says nothing about the machine: it stays in the pool. */
  readonly isHarmless?: boolean;
  perform(machinery: Machinery, machine: LabMachine, signal: AbortSignal, path: string | undefined): Promise<void>;
}

export const ACTIONS: Readonly<Record<ActionName, ActionPlan>> = {
  restoreStart: {
    ...{ expected: "running", cancel: "stop" },
    perform: (machinery, machine, signal) => machinery.restoreStart(machine, signal),
  },
  norestoreStart: {
    ...{ expected: "running", cancel: "stop" },
    perform: (machinery, machine, signal) => machinery.norestoreStart(machine, signal),
  },
  recordedStart: {
    ...{ expected: "running", cancel: "stop" },
    perform: (machinery, machine, signal, path) => machinery.recordedStart(machine, needPath(path), signal),
  },
  startToFreeze: {
    ...{ expected: "running", cancel: "stop" },
    perform: (machinery, machine, signal, path) => machinery.startToFreeze(machine, needPath(path), signal),
  },
  freeze: {
    ...{ expected: "poweroff", cancel: "stop" },
    perform: (machinery, machine, signal, path) => machinery.freeze(machine, needPath(path), signal),
  },
  stop: { expected: "poweroff", perform: (machinery, machine, signal) => machinery.stop(machine, signal) },
  acpiStop: {
    ...{ expected: "poweroff", fallback: "stop" },
    perform: (machinery, machine, signal) => machinery.acpiStop(machine, signal),
  },
  dumpMemory: {
    ...{ expected: undefined, isHarmless: true },
    perform: (machinery, machine, signal, path) => machinery.dumpMemory(machine, needPath(path), signal),
  },
  screenshot: {
    ...{ expected: undefined, isHarmless: true },
    perform: (machinery, machine, signal, path) => machinery.screenshot(machine, needPath(path), signal),
  },
  pause: {
    ...{ expected: "paused", isHarmless: true },
    perform: (machinery, machine, signal) => machinery.pause(machine, signal),
  },
  resume: {
    ...{ expected: "running", isHarmless: true },
    perform: (machinery, machine, signal) => machinery.resume(machine, signal),
  },
};

function needPath(path: string | undefined): string {
  if (path === undefined || path === "")
    throw new MachineryManagerError("this action needs the path of a file to write");
  return path;
}

/** The end of an action. */
export interface ActionResult {
  readonly success: boolean;
  /** The reason for the failure, or a remark on the success. */
  readonly reason?: string | undefined;
  /** The code of the error by which it has failed, where that has one. */
  readonly code?: string;
  /** The machine's state at the last look. */
  readonly state: MachineState | "unknown";
  /** The machine was taken out of the pool. */
  readonly isQuarantined: boolean;
}
