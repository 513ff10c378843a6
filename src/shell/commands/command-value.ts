import { inspect } from "node:util";
import type { CommandValue } from "./command-result";

const DEEPEST = 8;

/** Makes plain data of any value: functions and what is nested too deep become text. */
export function toCommandValue(value: unknown, depth = 0): CommandValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "function" || typeof value === "symbol") return inspect(value);
  if (typeof value !== "object") return value as string | number | bigint | boolean;
  if (depth >= DEEPEST) return inspect(value, { depth: 0 });
  if (Array.isArray(value)) return value.map((inner) => toCommandValue(inner, depth + 1));
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value instanceof Date) return value.toISOString();
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype as object) === null;
  // Objects with a class of their own, proxies over the guest's structs among them, say best themselves what they are.
  if (!isPlain) return inspect(value, { depth: 1 });
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, toCommandValue(inner, depth + 1)]));
}
