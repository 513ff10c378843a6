import type { BreakpointHit } from "./breakpoint-types";
import type { BP } from "./breakpoint";

/** All breakpoints of scripts and shells, by the numbers under which shells know them. */
class BreakpointList {
  readonly #byNumber = new Map<number, BP>();
  #last = 0;

  /** Gives a breakpoint the next number, counted from 1. */
  add(breakpoint: BP): number {
    this.#byNumber.set(++this.#last, breakpoint);
    return this.#last;
  }

  /** Forgets a breakpoint that was deleted; its number is not used again. */
  delete(number: number): void {
    this.#byNumber.delete(number);
  }

  /** Lists the breakpoints in the order of their numbers. */
  list(): BP[] {
    return [...this.#byNumber.values()];
  }
}

/** Is called at the hits of breakpoints that have no function; undefined: they only count. */
let stop: ((hit: BreakpointHit) => Promise<void>) | undefined;

/** Has breakpoints without a function stop the guest, while somebody is there to look at it. */
export function setBreakpointStop(wanted: ((hit: BreakpointHit) => Promise<void>) | undefined): void {
  stop = wanted;
}

/** Finds what breakpoints without a function do. */
export function findBreakpointStop(): ((hit: BreakpointHit) => Promise<void>) | undefined {
  return stop;
}

/** Is told of hits while a replay travels, where no breakpoint acts. */
let note: ((hit: BreakpointHit) => void) | undefined;

/** Has somebody told of each hit on the way of a replay that travels; undefined: nobody. */
export function setTravelNote(wanted: ((hit: BreakpointHit) => void) | undefined): void {
  note = wanted;
}

/** Finds who is told of hits on the way of a replay that travels. */
export function findTravelNote(): ((hit: BreakpointHit) => void) | undefined {
  return note;
}

export const breakpoints = new BreakpointList();
