/** The states that a machinery may tell of a machine. */
export const MACHINE_STATES = [
  "starting",
  "running",
  "paused",
  "stopping",
  "poweroff",
  "restored",
  "suspended",
  "error",
] as const;

/** What a machine does, as far as its machinery knows. */
export type MachineState = (typeof MACHINE_STATES)[number];

/** A state with what is known about why. */
export interface MachineStatus {
  readonly state: MachineState;
  /** For people: "crashed", "guest-panicked", "destroyed". */
  readonly reason?: string | undefined;
  /** Who holds it paused; the manager never resumes it then. */
  readonly pausedBy?: string | undefined;
}

/** Tells whether a value is the name of a state. */
export function isMachineState(value: unknown): value is MachineState {
  return (MACHINE_STATES as readonly unknown[]).includes(value);
}
