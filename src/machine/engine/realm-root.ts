import { types } from "node:util";

/** Longer chains are nobody's in good faith. */
const LONGEST_CHAIN = 1000;

/**
 * Finds the end of a value's chain of prototypes, which tells the realm that it is from, without running any code: what is
 * not of rebox's own realm must not be looked at in any other way, nor be shown to another realm.
 *
 * @param value any value
 * @returns undefined for what is no object, and where a proxy would have to be asked
 */
export function findRealmRoot(value: unknown): object | undefined {
  let last: object | undefined;
  let next: unknown = value;
  for (let length = 0; length < LONGEST_CHAIN; length++) {
    if (next === null) return last;
    if ((typeof next !== "object" && typeof next !== "function") || types.isProxy(next)) return undefined;
    last = next as object;
    next = Object.getPrototypeOf(next);
  }
  return undefined;
}

/** Tells whether a value is an Error of rebox's own realm. */
export function isOwnError(value: unknown): value is Error {
  return findRealmRoot(value) === Object.prototype && value instanceof Error;
}
