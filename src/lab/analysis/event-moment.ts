import type { Moment } from "../../config/moment";

let current: Moment | undefined;

/**
 * Calls a function that takes something which was seen elsewhere, by the machine's engine: the events that are added within have the
 * moment in which it was seen, and not that in which it arrived.
 */
export function withMoment<Result>(moment: Moment, act: () => Result): Result {
  const before = current;
  current = moment;
  try {
    return act();
  } finally {
    current = before;
  }
}

/** Finds the moment of what is told now; undefined when this process sees it itself. */
export function findMoment(): Moment | undefined {
  return current;
}
