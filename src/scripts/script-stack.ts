import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ScriptPlace } from "./script-error";

/** "at name (/path/file.ts:1:2)" or "at /path/file.ts:1:2", with or without "async". */
const FRAME = /^\s*at (?:async )?(?:.*?\()?((?:file:\/\/)?\/.*):(\d+):(\d+)\)?$/;

/**
 * Finds the innermost place of a stack that lies in one of a script's files.
 *
 * @param thrown what was thrown; anything that is no Error has no place
 * @param files absolute paths of the script's files
 */
export function findScriptPlace(thrown: unknown, files: readonly string[]): ScriptPlace | undefined {
  if (!(thrown instanceof Error) || typeof thrown.stack !== "string") return undefined;
  for (const text of thrown.stack.split("\n")) {
    const frame = FRAME.exec(text);
    if (frame === null) continue;
    const path = frame[1] as string;
    const file = path.startsWith("file:") ? fileURLToPath(path) : path;
    if (!files.includes(file)) continue;
    const line = Number(frame[2]);
    return { file, line, column: Number(frame[3]), sourceLine: findLine(file, line) };
  }
  return undefined;
}

/**
 * Returns a thrown value as one sentence: "TypeError: x is not a function", or the value itself when it is no Error.
 *
 * @param thrown what was thrown
 */
export function describeThrown(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message === "" ? thrown.name : `${thrown.name}: ${thrown.message}`;
  try {
    return String(thrown);
  } catch {
    // An object whose own toString throws, or that has none.
    return "a value that cannot be shown as text";
  }
}

function findLine(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, "utf8").split(/\r\n|\n|\r/)[line - 1];
  } catch {
    return undefined;
  }
}
