import { z } from "zod";
import { findNearestName } from "../config/nearest-name";

const MOST_PROBLEMS = 5;

/**
 * Checks parameters against a schema. Nothing is coerced: a text is no boolean.
 *
 * @param what they are called in messages
 * @returns the parameters with the schema's defaults
 * @throws Error with every problem, up to five, each with its place
 */
export function checkParameters<P>(schema: z.ZodType<P>, value: unknown, what = "parameters"): P {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => describeIssue(schema, issue, what));
  const more = problems.length > MOST_PROBLEMS ? [`and ${problems.length - MOST_PROBLEMS} more`] : [];
  throw new Error([...problems.slice(0, MOST_PROBLEMS), ...more].join("; "));
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

/** Follows a path of a value through the schema; what cannot be followed ends it. */
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
