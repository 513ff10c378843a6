import { inspect } from "node:util";

/** A cell of a row, or a value of data. A bigint is an address or a bit pattern: it is shown in hexadecimal. */
export type CommandValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | readonly CommandValue[]
  | { readonly [name: string]: CommandValue };

/** Things of one kind, one for each row. */
export interface RowsResult {
  readonly kind: "rows";
  /** The members of a row that are shown, in order. */
  readonly columns: readonly string[];
  readonly rows: readonly { readonly [column: string]: CommandValue }[];
  /** A sentence below the rows. */
  readonly note?: string | undefined;
}

/** Sentences, or nothing at all. */
export interface TextResult {
  readonly kind: "text";
  readonly text: string;
}

/** Something with a form of its own: a dump, a listing of code. */
export interface DataResult {
  readonly kind: "data";
  readonly text: string;
  readonly data: CommandValue;
}

/** The answer of a command. renderText() shows it to people, renderJson() to programs. */
export type CommandResult = RowsResult | TextResult | DataResult;

/** Makes a result of sentences. */
export function textResult(text: string): TextResult {
  return { kind: "text", text };
}

const DEEPEST_VALUE = 8;

/** Makes plain data of any value: functions and values that are nested too deep become text. */
export function toCommandValue(value: unknown, depth = 0): CommandValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "function" || typeof value === "symbol") return inspect(value);
  if (typeof value !== "object") return value as string | number | bigint | boolean;
  if (depth >= DEEPEST_VALUE) return inspect(value, { depth: 0 });
  if (Array.isArray(value)) return value.map((inner) => toCommandValue(inner, depth + 1));
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value instanceof Date) return value.toISOString();
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype as object) === null;
  // Objects with a class of their own, proxies over the guest's structs among them, describe themselves best.
  if (!isPlain) return inspect(value, { depth: 1 });
  const plain: Record<string, CommandValue> = {};
  for (const name of Object.keys(value)) {
    const inner = toCommandValue((value as Readonly<Record<string, unknown>>)[name], depth + 1);
    // To assign this one would change what the object is.
    if (name === "__proto__") Object.defineProperty(plain, name, { value: inner, enumerable: true });
    else plain[name] = inner;
  }
  return plain;
}
