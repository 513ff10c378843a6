import { readFileSync } from "node:fs";

/** A JSDoc comment, and the name of the exported function or constant that follows it directly. */
const DOCUMENTED =
  /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\s*export\s+(?:default\s+)?(?:async\s+)?(?:function\s*\*?|const|let|var)\s+([\w$]+)/g;

/**
 * Finds what a script's files say about their exported functions.
 *
 * @param files absolute paths of source files; one that cannot be read says nothing
 * @returns the text of the JSDoc comment by the function's name
 */
export function findDocumentation(files: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const file of files) {
    for (const [, comment = "", name = ""] of read(file).matchAll(DOCUMENTED)) {
      if (!found.has(name)) found.set(name, toText(comment));
    }
  }
  return found;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function toText(comment: string): string {
  const lines = comment.split(/\r?\n/).map((line) => line.replace(/^\s*\* ?/, "").trimEnd());
  return lines.join("\n").trim();
}
