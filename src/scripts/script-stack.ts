import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { explainAncestorName } from "../config/ancestor-names";
import { ScriptError, type ScriptPlace } from "./errors";

/** "at name (/path/file.ts:1:2)" or "at /path/file.ts:1:2", with or without "async". */
const FRAME = /^\s*at (?:async )?(?:.*?\()?((?:file:\/\/)?\/.*):(\d+):(\d+)\)?$/;

/**
 * Finds the innermost place of a stack that lies in one of a script's files.
 *
 * @param thrown the thrown value; one that is no Error has no place
 * @param files absolute paths of the script's files
 */
export function findScriptPlace(thrown: unknown, files: readonly string[]): ScriptPlace | undefined {
  for (const text of getStackLines(thrown)) {
    const place = findFrame(text);
    if (place === undefined || !files.includes(place.file)) continue;
    return { ...place, sourceLine: findLine(place.file, place.line) };
  }
  return undefined;
}

/**
 * Returns a stack without what lies below the script's outermost frame: who called the script is no news to its author.
 *
 * @param thrown the thrown value
 * @param files absolute paths of the script's files
 * @returns the whole stack when no frame of it is the script's; the value as text when it is no Error
 */
export function getScriptStack(thrown: unknown, files: readonly string[]): string {
  const lines = getStackLines(thrown);
  if (lines.length === 0) return describeThrown(thrown);
  const last = lines.findLastIndex((text) => files.includes(findFrame(text)?.file ?? ""));
  return (last === -1 ? lines : lines.slice(0, last + 1)).join("\n");
}

/**
 * Makes an error of what a user's file has thrown.
 *
 * @param thrown the thrown value
 * @param what the part of the file that threw it: "its top level", "clean()"
 * @param source its name in errors, its absolute path, and the absolute paths of all files that went into it
 * @returns an error with the place in these files, or with the file alone when the stack names none of them
 */
export function wrapThrown(
  thrown: unknown,
  what: string,
  source: { readonly name: string; readonly file: string; readonly files: readonly string[] },
): ScriptError {
  const { name, file, files } = source;
  const place = findScriptPlace(thrown, files) ?? { file };
  const stack = getScriptStack(thrown, files);
  return new ScriptError(name, `${what} threw ${describeThrown(thrown)}`, place, { cause: thrown, stack });
}

/**
 * Returns a thrown value as one sentence: "TypeError: x is not a function", or the value itself when it is no Error.
 *
 * @param thrown the thrown value
 */
export function describeThrown(thrown: unknown): string {
  if (thrown instanceof Error) {
    const { name, message } = thrown;
    return message === "" ? name : `${name}: ${message}${explainAncestorName(message)}`;
  }
  // Its own toString() would be the script's code, which may throw, or never return.
  if ((typeof thrown === "object" && thrown !== null) || typeof thrown === "function") {
    return "a value that cannot be shown as text";
  }
  return String(thrown);
}

function getStackLines(thrown: unknown): string[] {
  return thrown instanceof Error && typeof thrown.stack === "string" ? thrown.stack.split("\n") : [];
}

function findFrame(text: string): { file: string; line: number; column: number } | undefined {
  const frame = FRAME.exec(text);
  if (frame === null) return undefined;
  const path = frame[1] as string;
  const file = path.startsWith("file:") ? fileURLToPath(path) : path;
  return { file, line: Number(frame[2]), column: Number(frame[3]) };
}

/** Makes the place of a line and column, both counted from 1, with the line's text. */
export function readPlace(file: string, line: number, column: number): ScriptPlace {
  return { file, line, column, sourceLine: findLine(file, line) };
}

function findLine(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, "utf8").split(/\r\n|\n|\r/)[line - 1];
  } catch {
    return undefined;
  }
}
