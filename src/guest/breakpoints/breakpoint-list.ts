import type { BP } from "./breakpoint";

const byNumber = new Map<number, BP>();
let last = 0;

/** Gives a breakpoint a number, under which shells know it. */
export function numberBreakpoint(breakpoint: BP): number {
  byNumber.set(++last, breakpoint);
  return last;
}

/** Forgets a breakpoint that is no more. */
export function forgetBreakpoint(number: number): void {
  byNumber.delete(number);
}

/** Lists all breakpoints, of scripts and shells, in the order of their numbers. */
export function listBreakpoints(): BP[] {
  return [...byNumber.values()];
}
