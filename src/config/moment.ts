/**
 * The moment of something that a process saw. Moments of one process are ordered by their sequence; those of several processes of a
 * host by their time, which no setting of the host's clock changes.
 */
export interface Moment {
  /** From 1; each moment of a process has a greater one than those before it. */
  readonly sequence: number;
  /** Since the host's start, in milliseconds (CLOCK_MONOTONIC). */
  readonly monotonicMs: number;
}

let last = 0;

/**
 * Takes the present moment of this process.
 *
 * @param monotonicMs of something that was noted before and is told of now: its own time
 */
export function takeMoment(monotonicMs = readMonotonicMs()): Moment {
  return { sequence: ++last, monotonicMs };
}

/** Reads the clock that all processes of a host share, and that is never set, in milliseconds. */
export function readMonotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Returns whether a value from outside is a moment. */
export function isMoment(value: unknown): value is Moment {
  const { sequence, monotonicMs } = (value ?? {}) as Partial<Moment>;
  return Number.isSafeInteger(sequence) && Number.isFinite(monotonicMs);
}
