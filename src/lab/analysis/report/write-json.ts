import { writeWholeFile } from "../whole-file";

/** The depth to which values are written piece by piece; deeper ones are small. */
const DEEPEST = 3;
const TOO_DEEP = JSON.stringify("nested too deeply to be written");

/**
 * Writes a value as JSON, piece by piece: it is never in memory as one text. The file is there as a whole or not at all. Values that
 * are nested more deeply than JavaScript can write are a text that says so.
 *
 * @throws Error of node:fs
 */
export function writeJson(file: string, value: unknown): void {
  writeWholeFile(file, listAll(value));
}

function* listAll(value: unknown): Generator<string> {
  yield* listPieces(value, 0);
  yield "\n";
}

function* listPieces(value: unknown, depth: number): Generator<string> {
  if (typeof value !== "object" || value === null || depth >= DEEPEST) return yield toText(value);
  const isList = Array.isArray(value);
  // As JSON.stringify() does: a member without a value is left out, and an element without one is null.
  const entries = isList ? value.entries() : Object.entries(value).filter(([, member]) => member !== undefined);
  let isFirst = true;
  yield isList ? "[" : "{";
  for (const [key, member] of entries) {
    yield `${isFirst ? "" : ","}\n${"  ".repeat(depth + 1)}${isList ? "" : `${JSON.stringify(key)}: `}`;
    yield* listPieces(member, isList ? DEEPEST : depth + 1);
    isFirst = false;
  }
  yield `${isFirst ? "" : `\n${"  ".repeat(depth)}`}${isList ? "]" : "}"}`;
}

function toText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (error) {
    if (error instanceof RangeError) return TOO_DEEP;
    throw error;
  }
}
