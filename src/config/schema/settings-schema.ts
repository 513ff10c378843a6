import { z } from "zod";
import type { ConfigProblems } from "./config-problems";

/** Settings by their names: what a configuration file may say, each as a type of zod. */
export type SettingsSchema = Readonly<Record<string, z.ZodType>>;

/** The values of settings, by their names. */
export type SettingsOf<Schema extends SettingsSchema> = { readonly [Name in keyof Schema]: z.output<Schema[Name]> };

/** The surroundings in which a value is read. */
export interface ReadScope {
  readonly problems: ConfigProblems;
  /** The folder where relative paths start. */
  readonly folder: string;
  /** false: values are read, and the system need not fit them: a section with `enabled: no`. */
  readonly checksSystem: boolean;
}

/** A type that zod has not: a line of text that is read in a place, by way of this host. */
export interface SettingWord {
  /** The end of "it must be ...": "the path of a file". */
  readonly accepted: string;
  /**
   * Reads the text.
   *
   * @throws SettingError for text that it does not accept
   */
  read(text: string, scope: ReadScope): string;
}

/** The types that are words of rebox. */
export const SETTING_WORDS = z.registry<SettingWord>();

/** The metadata of a type that means something here: `z.string().meta({ examples: ["x64"], aliases: ["arch"] })`. */
export interface SettingMeta {
  /** One sentence for people: a comment in templates. `.describe()` sets it, too. */
  readonly description?: string;
  /** The first is the value in templates where there is no default. */
  readonly examples?: readonly unknown[];
  /** Other names by which files may call it. */
  readonly aliases?: readonly string[];
  /** The value is shown as ********. */
  readonly secret?: boolean;
}

/** A type of zod as it describes itself; it may come from another copy of zod, so no class is asked for. */
interface Definition {
  readonly type: string;
  readonly format?: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly shape?: SettingsSchema;
  readonly options?: readonly z.ZodType[];
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly values?: readonly unknown[];
  readonly defaultValue?: unknown;
  readonly checks?: readonly { readonly _zod: { readonly def: NumberCheck } }[];
}

interface NumberCheck {
  readonly check: string;
  readonly value: number;
  readonly inclusive: boolean;
}

/** The facts about a setting that do not depend on its value. */
export interface SettingType {
  /** The type below default(), optional() and the like. */
  readonly inner: z.ZodType;
  readonly definition: Definition;
  readonly meta: SettingMeta;
  readonly isOptional: boolean;
  readonly default: unknown;
}

/** Returns what is known of a setting: its type, and what was said about it on the way there. */
export function examineSetting(schema: z.ZodType): SettingType {
  let inner = schema;
  let meta: SettingMeta = {};
  let isOptional = false;
  let fallback: unknown;
  for (;;) {
    meta = { ...(z.globalRegistry.get(inner) as SettingMeta | undefined), ...meta };
    const definition = inner._zod.def as unknown as Definition;
    isOptional ||= definition.type === "optional" || definition.type === "nullable";
    fallback ??= definition.defaultValue;
    if (definition.innerType === undefined) return { inner, definition, meta, isOptional, default: fallback };
    inner = definition.innerType;
  }
}

/** Returns the type that decides what a text becomes before it is checked. */
export function getInputType(schema: z.ZodType): SettingType {
  const type = examineSetting(schema);
  const { in: input, out } = type.definition;
  if (input === undefined || out === undefined) return type;
  return getInputType(examineSetting(input).definition.type === "transform" ? out : input);
}

export const TRUE_WORDS: readonly string[] = ["true", "yes", "on", "1"];
export const FALSE_WORDS: readonly string[] = ["false", "no", "off", "0"];

/** Returns what a word of a switch means, in any case; undefined for every other text. */
export function convertSwitch(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (TRUE_WORDS.includes(word)) return true;
  return FALSE_WORDS.includes(word) ? false : undefined;
}

/** The formats of text that people know by an example. */
const FORMATS: Readonly<Record<string, string>> = {
  url: "a URL such as https://host/path",
  ipv4: "an IP address such as 192.168.30.101",
  ipv6: "an IP address such as fe80::1",
  mac: "a MAC address such as 52:54:00:12:34:56",
};

/** Returns what a type accepts, as part of a sentence: "a whole number from 1 to 65535". */
export function describeAccepted(schema: z.ZodType): string {
  const { inner, definition } = examineSetting(schema);
  const word = SETTING_WORDS.get(inner);
  if (word !== undefined) return word.accepted;
  const { type, format, element, options, entries, values, in: input, out } = definition;
  if (type === "string") return FORMATS[format ?? ""] ?? "one line of text";
  if (type === "number") return describeNumber(definition);
  if (type === "boolean") return `one of ${[...TRUE_WORDS, ...FALSE_WORDS].join(", ")}`;
  if (type === "enum") return `one of ${Object.values(entries ?? {}).join(", ")}`;
  if (type === "literal") return `one of ${(values ?? []).join(", ")}`;
  if (type === "array") return `a list, each of which is ${describeAccepted(element!)}`;
  if (type === "record") return "names with values";
  if (type === "object") return "a group of settings";
  if (type === "union") return options!.map(describeAccepted).join(", or ");
  if (type === "pipe") return describeAccepted(examineSetting(out!).definition.type === "transform" ? input! : out!);
  return "a value";
}

/** Returns whether "it must be ..." says what an issue of zod complains of. */
export function isToldByAccepted(issue: z.core.$ZodIssue): boolean {
  if (issue.code === "too_small" || issue.code === "too_big") return /^(number|int|bigint)$/.test(issue.origin);
  if (issue.code === "invalid_format") return issue.format in FORMATS;
  return issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union";
}

function describeNumber({ format, checks = [] }: Definition): string {
  const isWhole = format !== undefined && !format.startsWith("float");
  const noun = isWhole ? "a whole number" : "a number";
  const limit = (check: string, step: number) => {
    const found = checks.map(({ _zod: { def } }) => def).find((def) => def.check === check);
    if (found === undefined) return undefined;
    return isWhole && !found.inclusive ? found.value + step : found.value;
  };
  const [low, high] = [limit("greater_than", 1), limit("less_than", -1)];
  if (low === undefined && high === undefined) return noun;
  if (high === undefined) return `${noun}, ${low} or more`;
  return low === undefined ? `${noun}, ${high} at most` : `${noun} from ${low} to ${high}`;
}

/** Writes a value as it would stand in a file, YAML or INI. */
export function writeSettingValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(writeSettingValue).join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  const text = String(value);
  // Text that YAML or INI would take for something else is quoted.
  const isPlain = typeof value !== "string" || (/^[\w/.][\w/.:+ -]*$/.test(text) && !/[: ]$|: /.test(text));
  return isPlain ? text : JSON.stringify(text);
}
