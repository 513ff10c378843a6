import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

/** In characters; what is written at once. */
const CHUNK = 1 << 20;
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
  writePieces(file, listPieces(value, 0));
}

/**
 * Writes a list of values as JSON between two pieces of it.
 *
 * @param head what stands before the first, such as '{"list":['
 * @param tail what stands behind the last
 * @throws Error of node:fs
 */
export function writeJsonItems(file: string, head: string, items: Iterable<unknown>, tail: string): void {
  writePieces(file, listItems(head, items, tail));
}

function* listItems(head: string, items: Iterable<unknown>, tail: string): Generator<string> {
  yield head;
  let isFirst = true;
  for (const item of items) {
    yield `${isFirst ? "" : ","}\n${toText(item)}`;
    isFirst = false;
  }
  yield `\n${tail}`;
}

function writePieces(file: string, pieces: Iterable<string>): void {
  const temporary = `${file}.${process.pid}.new`;
  const descriptor = openSync(temporary, "w", 0o644);
  try {
    let waiting = "";
    const flush = (): void => {
      const bytes = Buffer.from(waiting);
      for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
      waiting = "";
    };
    for (const piece of pieces) {
      waiting += piece;
      if (waiting.length >= CHUNK) flush();
    }
    waiting += "\n";
    flush();
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
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
