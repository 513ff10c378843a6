import { inspect } from "node:util";
import { findNearestName } from "../../config/nearest-name";

const LAST_ADDRESS = (1n << 64n) - 1n;
const FIRST_SIGNED = -(1n << 63n);

/** Shows a value in an error, on one line. Runs no code of the value's own. */
export function showValue(value: unknown): string {
  const shown = inspect(value, { depth: 1, customInspect: false, breakLength: Infinity, maxArrayLength: 4 });
  return shown.length > 80 ? `${shown.slice(0, 80)}...` : shown;
}

/**
 * Checks that a value is an object, and that it has no member but known ones.
 *
 * @param what the value's own name, for errors: "the options of BLOCK_END_CB", "filter.value"
 * @param known the names that its members may have
 * @throws TypeError that names the known name that the wrong one probably stands for
 */
export function checkMembers(what: string, value: unknown, known: readonly string[]): void {
  // Maps, dates, arrays and the like are objects too, and have none of the members.
  if (Object.prototype.toString.call(value) !== "[object Object]") {
    throw new TypeError(`${what}: ${showValue(value)} is not an object; its members may be ${known.join(", ")}`);
  }
  const unknown = Object.keys(value as object).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const nearest = findNearestName(unknown, known);
  const hint = nearest === undefined ? "" : `did you mean ${nearest}? `;
  throw new TypeError(`${what}: ${showValue(unknown)} is unknown; ${hint}members may be ${known.join(", ")}`);
}

/**
 * Checks an address, or the identity of an address space.
 *
 * @param what its name, for errors
 * @returns its 64 bits: a negative one is the same bits as a signed number
 * @throws TypeError when it is no bigint, RangeError when it has more than 64 bits
 */
export function toAddress(what: string, value: unknown): bigint {
  if (typeof value !== "bigint") {
    throw new TypeError(`${what} is a ${typeof value}: addresses are bigint, such as 0xffffffff81000000n`);
  }
  if (value < FIRST_SIGNED || value > LAST_ADDRESS)
    throw new RangeError(`${what} is ${value}: it has more than 64 bits`);
  return BigInt.asUintN(64, value);
}

/**
 * Checks a member that is one value or a list of several.
 *
 * @param convert checks one of them, named as in the error that it throws
 * @throws RangeError for an empty list, which nothing could match
 */
export function toList<Value>(what: string, value: unknown, convert: (what: string, value: unknown) => Value): Value[] {
  if (!Array.isArray(value)) return [convert(what, value)];
  if (value.length === 0) throw new RangeError(`${what} is an empty list, which no event can match: leave it out`);
  return Array.from(value as unknown[], (element, index) => convert(`${what}[${index}]`, element));
}

/** Checks that a member is true, false or left out. @throws TypeError */
export function checkFlag(what: string, value: unknown): void {
  if (value !== undefined && typeof value !== "boolean") {
    throw new TypeError(`${what} is ${showValue(value)}: it must be true or false`);
  }
}
