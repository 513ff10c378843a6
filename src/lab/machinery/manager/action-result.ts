import type { MachineState } from "../records/machine-state";

/** How an action ended. */
export interface ActionResult {
  readonly success: boolean;
  /** Why it failed, or what is worth knowing about the success. */
  readonly reason?: string | undefined;
  /** What the machine did when it was last looked at. */
  readonly state: MachineState | "unknown";
  /** The machine was taken out of the pool. */
  readonly isQuarantined: boolean;
}
