import { types } from "node:util";

/** No honest prototype chain is longer. */
const LONGEST_CHAIN = 1000;

/**
 * Finds the end of a value's chain of prototypes, which identifies the realm that the value is from, without running any
 * code: a value of another realm must not be looked at in any other way, nor be shown to a third realm.
 *
 * @param value any value
 * @returns undefined for a value that is no object, and where a proxy would have to be asked
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

/** Returns whether a value is an Error of rebox's own realm. */
export function isOwnError(value: unknown): value is Error {
  return findRealmRoot(value) === Object.prototype && value instanceof Error;
}
