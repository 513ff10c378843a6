import { z } from "zod";
import { findNearestName } from "../config/nearest-name";
import { ParameterError, UsageShown } from "./errors";

const MOST_PROBLEMS = 5;

/**
 * Checks parameters against a schema. No value is converted: a text is no boolean.
 *
 * @param what the name of the parameters in messages
 * @returns the parameters with the schema's defaults
 * @throws ParameterError with every problem, up to five, each with its place
 */
export function checkParameters<P>(schema: z.ZodType<P>, value: unknown, what = "parameters"): P {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => describeIssue(schema, issue, what));
  const more = problems.length > MOST_PROBLEMS ? [`and ${problems.length - MOST_PROBLEMS} more`] : [];
  throw new ParameterError([...problems.slice(0, MOST_PROBLEMS), ...more].join("; "));
}

/** A JSON Schema (draft 2020-12). */
export type ParameterSchema = Readonly<Record<string, unknown>>;

/** Makes the JSON Schema of parameters as people give them: what has a default may be missing. A type that JSON has not may be anything. */
export function toParameterSchema(schema: z.ZodType): ParameterSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
}

function describeIssue(schema: z.ZodType, issue: z.core.$ZodIssue, what: string): string[] {
  const place = [what, ...issue.path.map(String)].join(".");
  if (issue.code !== "unrecognized_keys") return [`${place}: ${issue.message}`];
  const known = listKeys(findInner(schema, issue.path));
  return issue.keys.map((key) => {
    const nearest = findNearestName(key, known);
    const hint = nearest === undefined ? `; there are ${known.join(", ")}` : `; do you mean "${nearest}"?`;
    return `${place}: there is no "${key}"${known.length === 0 ? "" : hint}`;
  });
}

function listKeys(schema: unknown): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** Follows a path of a value through the schema. @returns undefined when the path cannot be followed */
function findInner(schema: unknown, path: readonly PropertyKey[]): unknown {
  let at = unwrap(schema);
  for (const key of path) {
    if (at instanceof z.ZodObject) at = unwrap((at.shape as Record<PropertyKey, unknown>)[key]);
    else if (at instanceof z.ZodRecord) at = unwrap(at.def.valueType);
    else if (at instanceof z.ZodArray) at = unwrap(at.def.element);
    else return undefined;
  }
  return at;
}

function unwrap(schema: unknown): unknown {
  let at = schema;
  while (
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodOptional ||
    at instanceof z.ZodNullable
  )
    at = at.def.innerType;
  return at;
}

const FLAG_KINDS = ["switch", "text", "number", "texts"] as const;

/** The kind of a flag: a switch takes no value, the others one text, one number, or a text each time the flag is given. */
export type FlagKind = (typeof FLAG_KINDS)[number];

interface FlagValues {
  readonly switch: boolean;
  readonly text: string;
  readonly number: number;
  readonly texts: string[];
}

/** The flags that were given. A flag that was not given is missing, so that the schema's default holds. */
export type Flags<Kinds extends Readonly<Record<string, FlagKind>>> = {
  -readonly [Name in keyof Kinds]?: FlagValues[Kinds[Name]];
};

/** The texts that Go's strconv.ParseBool takes. */
const SWITCH_VALUES: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "true", "TRUE", "True"].map((text) => [text, true] as const),
  ...["0", "f", "F", "false", "FALSE", "False"].map((text) => [text, false] as const),
]);

/**
 * Reads the words of a command line in the syntax of Go's flags, which MIG's modules use: -name value, -name=value, also with two
 * dashes; a switch stands alone or is -name=false, -name=0, -name=F.
 *
 * @param args the words
 * @param kinds the known flags, without dashes
 * @param help the text that `help` and -h show
 * @throws TypeError for a kind that does not exist: scripts are run without a check of their types
 * @throws UsageShown with the help when it is asked for
 * @throws ParameterError for an unknown flag, a missing or wrong value, a word that belongs to no flag
 */
export function parseFlags<const Kinds extends Readonly<Record<string, FlagKind>>>(
  args: readonly string[],
  kinds: Kinds,
  help: string,
): Flags<Kinds> {
  for (const [name, kind] of Object.entries(kinds)) checkKind(name, kind);
  const flags = Object.create(null) as Record<string, boolean | string | number | string[]>;
  const words = [...args];
  if (words[0] === "help") throw new UsageShown(help);
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, name, given] = /^--?([^=-][^=]*)(?:=([^]*))?$/.exec(word) ?? [];
    if (name === undefined) throw new ParameterError(`"${word}" belongs to no flag; flags are ${listFlags(kinds)}`);
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) {
      if (["h", "help"].includes(name)) throw new UsageShown(help);
      const nearest = findNearestName(name, Object.keys(kinds));
      const hint = nearest === undefined ? `flags are ${listFlags(kinds)}` : `do you mean -${nearest}?`;
      throw new ParameterError(`there is no flag -${name}; ${hint}`);
    }
    if (kind === "switch") {
      const isOn = given === undefined ? true : SWITCH_VALUES.get(given);
      if (isOn === undefined) throw new ParameterError(`-${name} is true or false, not "${given}"`);
      flags[name] = isOn;
      continue;
    }
    const value = given ?? words.shift();
    if (value === undefined) throw new ParameterError(`-${name} needs a value`);
    if (kind === "texts") flags[name] = [...((flags[name] as string[] | undefined) ?? []), value];
    else flags[name] = kind === "number" ? readNumber(name, value) : value;
  }
  return { ...flags } as Flags<Kinds>;
}

function checkKind(name: string, kind: string): void {
  if ((FLAG_KINDS as readonly string[]).includes(kind)) return;
  throw new TypeError(`parseFlags: the kind of -${name} is one of ${FLAG_KINDS.join(", ")}, not "${kind}"`);
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (text === "" || /\s/.test(text) || !Number.isFinite(value))
    throw new ParameterError(`-${name} needs a number, not "${text}"`);
  return value;
}

function listFlags(kinds: Readonly<Record<string, FlagKind>>): string {
  return Object.keys(kinds)
    .map((name) => `-${name}`)
    .join(" ");
}
