import type { CallbackFailure, EngineEnd } from "../../machine/engine/engine";

export type { CallbackFailure, EngineEnd };

/** The engine's changes of state that a run reports. */
export const LIFECYCLE_EVENTS = ["running", "paused", "reset", "shutdown", "crashed"] as const;

/** What `rebox run` needs of an engine. */
export interface EnginePort {
  readonly ended: Promise<EngineEnd>;
  callbackLimitMs: number;
  run(): void;
  quit(): Promise<void>;
  on(event: (typeof LIFECYCLE_EVENTS)[number], listener: (detail: unknown) => void): unknown;
  on(event: "callbackError", listener: (failure: CallbackFailure) => void): unknown;
}
