import { describeStruct, findTarget } from "./fast/structs";

const DEEPEST = 4;
const LONGEST = 100;
const PLAIN_KEY = /^[A-Za-z_$][\w$]*$/;

/**
 * Shows a value as text, much as Node does.
 *
 * @param value any value
 */
export function inspect(value: unknown): string {
  return show(value, 0, new Set());
}

/** Joins what console.log() was given. */
export function format(values: readonly unknown[]): string {
  return values.map((value) => (typeof value === "string" ? value : inspect(value))).join(" ");
}

function show(value: unknown, depth: number, above: Set<object>): string {
  switch (typeof value) {
    case "string":
      return depth === 0 ? value : `'${value.replace(/[\\']/g, "\\$&").replaceAll("\n", "\\n")}'`;
    case "bigint":
      return `${value}n`;
    case "function":
      return `[Function: ${value.name || "(anonymous)"}]`;
    case "object":
      return value === null ? "null" : showObject(value, depth, above);
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

function showObject(value: object, depth: number, above: Set<object>): string {
  if (above.has(value)) return "[Circular]";
  const struct = findTarget(value);
  if (struct !== undefined) return describeStruct(struct);
  if (value instanceof Error) return value.stack ?? String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  const name = (Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null)?.constructor?.name;
  if (depth > DEEPEST) return `[${name ?? "Object"}]`;
  above.add(value);
  try {
    return showMembers(value, name, (item) => show(item, depth + 1, above));
  } finally {
    above.delete(value);
  }
}

function showMembers(value: object, name: string | undefined, item: (value: unknown) => string): string {
  if (Array.isArray(value)) return wrap("", "[", value.slice(0, LONGEST).map(item), "]", value.length);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    const list = Array.from((value as Uint8Array).subarray(0, LONGEST), item);
    return wrap(`${name}(${(value as Uint8Array).length}) `, "[", list, "]", (value as Uint8Array).length);
  }
  if (value instanceof Map) {
    const entries = [...value].slice(0, LONGEST).map(([key, entry]) => `${item(key)} => ${item(entry)}`);
    return wrap(`Map(${value.size}) `, "{", entries, "}", value.size);
  }
  if (value instanceof Set) {
    return wrap(`Set(${value.size}) `, "{", [...value].slice(0, LONGEST).map(item), "}", value.size);
  }
  if (value instanceof Promise) return "Promise {}";
  const keys = Object.keys(value);
  const members = keys.slice(0, LONGEST).map((key) => {
    return `${PLAIN_KEY.test(key) ? key : `'${key}'`}: ${item((value as Record<string, unknown>)[key])}`;
  });
  const mark = name === undefined ? "[Object: null prototype] " : name === "Object" ? "" : `${name} `;
  return wrap(mark, "{", members, "}", keys.length);
}

function wrap(mark: string, open: string, items: readonly string[], close: string, count: number): string {
  if (count === 0) return `${mark}${open}${close}`;
  const more = count > items.length ? [`... ${count - items.length} more`] : [];
  return `${mark}${open} ${[...items, ...more].join(", ")} ${close}`;
}
