import type { CommandResult, CommandValue } from "./command-result";

/** JSON without bigint: see renderJson(). */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/**
 * Shows a result as data: of rows the list of them, of sentences the text. A bigint becomes a string in hexadecimal ("0x1f"),
 * since JSON's numbers are exact up to 2 to the 53 only.
 */
export function renderJson(result: CommandResult): JsonValue {
  if (result.kind === "rows") return toJson(result.rows);
  return toJson(result.kind === "data" ? result.data : result.text);
}

function toJson(value: CommandValue): JsonValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return (value as readonly CommandValue[]).map(toJson);
  const entries = Object.entries(value as Readonly<Record<string, CommandValue>>);
  return Object.fromEntries(
    entries.filter(([, inner]) => inner !== undefined).map(([name, inner]) => [name, toJson(inner)]),
  );
}
