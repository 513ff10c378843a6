/**
 * The moment of something that a process saw. Moments of one process are ordered by their sequence; those of several processes of a
 * host by their time, which no setting of the host's clock changes.
 */
export interface Moment {
  /** From 1; each moment of a process has a greater one than those before it. */
  readonly sequence: number;
  /** Since the host's start, in milliseconds (CLOCK_MONOTONIC). */
  readonly monotonicMs: number;
  /** How many instructions the machine of this process had executed, where it is recorded and that is known exactly. */
  readonly instructions?: number;
}

let last = 0;
let findInstructions: () => number | undefined = () => undefined;

/** Sets how the instructions of a recorded machine are counted: each moment that is taken from then on has their number. */
export function countInstructionsBy(find: () => number | undefined): void {
  findInstructions = find;
}

/**
 * Takes the present moment of this process.
 *
 * @param monotonicMs of something that was noted before and is told of now: its own time
 */
export function takeMoment(monotonicMs?: number): Moment {
  // Of something that was noted before nobody has counted them.
  const instructions = monotonicMs === undefined ? findInstructions() : undefined;
  const counted = instructions === undefined ? {} : { instructions };
  return { sequence: ++last, monotonicMs: monotonicMs ?? readMonotonicMs(), ...counted };
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
