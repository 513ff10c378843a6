/** How long a script's own functions may take, in milliseconds. */
export interface ScriptLimits {
  /** The top level, initialize_callbacks, a command, a timer: until the function returns. */
  readonly callMs: number;
  /** initialize_callbacks and a command: until the promise that they return has settled. */
  readonly promiseMs: number;
  /** clean(), with its promise. */
  readonly cleanMs: number;
}

export const DEFAULT_SCRIPT_LIMITS: ScriptLimits = { callMs: 10_000, promiseMs: 60_000, cleanMs: 10_000 };
