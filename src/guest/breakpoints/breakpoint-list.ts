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

export const breakpoints = new BreakpointList();
