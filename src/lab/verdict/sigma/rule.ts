import { z } from "zod";
import { SigmaSyntaxError } from "../../errors";
import { parseCondition } from "./condition";
import type { EventTest, SigmaEvent } from "./event";
import { createFieldTest, type SigmaValue } from "./field-test";

/** How bad it is when a rule fits: the specification's levels. */
export const SIGMA_LEVELS = ["informational", "low", "medium", "high", "critical"] as const;
export type SigmaLevel = (typeof SIGMA_LEVELS)[number];

/** Where a rule's events come from. */
export interface SigmaLogSource {
  readonly category?: string | undefined;
  readonly product?: string | undefined;
  readonly service?: string | undefined;
}

/** A rule that is ready to be asked. */
export interface SigmaRule {
  readonly id: string | undefined;
  readonly title: string;
  readonly description: string | undefined;
  readonly level: SigmaLevel;
  /** ATT&CK techniques by number, such as "T1053.003". */
  readonly techniques: readonly string[];
  readonly logSource: SigmaLogSource;
  /** The fields that it looks at. */
  readonly fields: ReadonlySet<string>;
  /** Tells whether an event of its log source fits. */
  fits(event: SigmaEvent): boolean;
}

const text = z.union([z.string(), z.number()]).transform(String);
const nullable = text.nullish().transform((value) => value ?? undefined);

const RULE = z.looseObject({
  title: text,
  id: nullable,
  description: nullable,
  level: z.enum(SIGMA_LEVELS).nullish(),
  tags: z.array(z.string()).nullish(),
  logsource: z.looseObject({ category: nullable, product: nullable, service: nullable }),
  detection: z.record(z.string(), z.unknown()),
});

/** The deepest nesting of a search: the specification has nothing below maps in a list. */
const DEEPEST = 3;

/**
 * Makes a rule of a document of a rule file.
 *
 * @param document as a YAML parser gives it
 * @throws SigmaSyntaxError saying what is not understood, or not supported
 */
export function createSigmaRule(document: unknown): SigmaRule {
  const kind = findKind(document);
  if (kind !== undefined) throw new SigmaSyntaxError(`${kind} are not supported`);
  const parsed = RULE.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new SigmaSyntaxError(`${issue?.path.join(".") || "the rule"}: ${issue?.message}`);
  }
  const { title, id, description, level, tags, logsource, detection } = parsed.data;
  if ("timeframe" in detection) throw new SigmaSyntaxError("a timeframe in the detection is not supported");
  const fields = new Set<string>();
  const searches = new Map<string, EventTest>();
  for (const [name, search] of Object.entries(detection)) {
    if (name !== "condition") searches.set(name, createSearch(search, name, fields, 0));
  }
  const conditions = readConditions(detection["condition"]);
  const tests = conditions.map((condition) => parseCondition(condition, searches));
  const { category, product, service } = logsource;
  return {
    ...{ id, title, description, level: level ?? "medium", fields },
    techniques: (tags ?? []).flatMap((tag) => /^attack\.(t\d{4}(?:\.\d{3})?)$/i.exec(tag)?.[1]?.toUpperCase() ?? []),
    logSource: { category, product, service },
    fits: (event) => tests.some((test) => test(event)),
  };
}

function findKind(document: unknown): string | undefined {
  if (typeof document !== "object" || document === null) return undefined;
  if ("correlation" in document) return "correlations of several events";
  if ("filter" in document && !("detection" in document)) return "filters for other rules";
  return "action" in document ? "collections of rules (action:)" : undefined;
}

function readConditions(value: unknown): readonly string[] {
  const conditions = Array.isArray(value) ? (value as unknown[]) : [value];
  if (conditions.length > 0 && conditions.every((one) => typeof one === "string")) return conditions;
  throw new SigmaSyntaxError("detection.condition is to be a text");
}

/** Maps want all of their lines, lists one of their members; plain values are looked for in all fields. */
function createSearch(search: unknown, name: string, fields: Set<string>, depth: number): EventTest {
  if (depth > DEEPEST) throw new SigmaSyntaxError(`the search ${name} is nested too deeply`);
  if (isValue(search)) return createFieldTest("", [], [search]);
  if (Array.isArray(search)) {
    const members = search as unknown[];
    if (members.length === 0) throw new SigmaSyntaxError(`the search ${name} is empty`);
    const tests = members.map((member) => createSearch(member, name, fields, depth + 1));
    return (event) => tests.some((test) => test(event));
  }
  const lines = Object.entries(search as object);
  if (lines.length === 0) throw new SigmaSyntaxError(`the search ${name} is empty`);
  const tests = lines.map(([key, value]) => createLine(key, value, name, fields));
  return (event) => tests.every((test) => test(event));
}

function createLine(key: string, value: unknown, name: string, fields: Set<string>): EventTest {
  const [field = "", ...modifiers] = key.split("|");
  const values = Array.isArray(value) ? (value as unknown[]) : [value];
  if (!values.every(isValue))
    throw new SigmaSyntaxError(`${name}.${key}: values are texts, numbers, true, false or null`);
  if (values.length === 0) throw new SigmaSyntaxError(`${name}.${key} has no value`);
  if (field !== "") fields.add(field);
  if (modifiers.includes("fieldref")) for (const other of values) fields.add(String(other));
  return createFieldTest(field, modifiers, values);
}

function isValue(value: unknown): value is SigmaValue {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}
