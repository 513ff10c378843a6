/** How the engine ended. */
export interface EngineEnd {
  readonly reason: "shutdown" | "crashed";
  /** QEMU's ShutdownCause, such as "guest-shutdown", "host-qmp-quit", "host-signal", "guest-panic" or "guest-reset". */
  readonly cause: string;
  readonly message?: string;
}

/** A callback of a script that threw, or ran longer than the limit. */
export interface CallbackFailure {
  readonly callback: string;
  readonly script: string;
  readonly error: Error;
  /** How often this callback has failed up to now. */
  readonly count: number;
  /** True when it was cut off and will not be called again. */
  readonly removed: boolean;
}

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
