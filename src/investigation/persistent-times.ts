/** When a persistent module is asked whether it lives, and what follows; in milliseconds. */
export interface PersistentTimes {
  /** From one ping to the next. */
  readonly pingMs: number;
  /** An instance that has not answered for so long is ended. */
  readonly pongMs: number;
  /** From the end of an instance to the start of the next. */
  readonly restartMs: number;
  /** An instance that was told to end has so long for it. */
  readonly endMs: number;
}

/** MIG's times. */
export const PERSISTENT_TIMES: PersistentTimes = { pingMs: 10_000, pongMs: 30_000, restartMs: 10_000, endMs: 2_000 };
