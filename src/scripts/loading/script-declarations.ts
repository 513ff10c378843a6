import { readFileSync, realpathSync } from "node:fs";
import type { ScriptFiles } from "./script-files";

/** A list of texts, written out: `export const NAME = ["a", "b"];`, with or without a type. */
const createPattern = (name: string) => new RegExp(`^export\\s+const\\s+${name}\\b[^=\\n]*=\\s*\\[([^\\]]*)\\]`, "m");

/** Lists that a script declares, which are read without running it. */
export type Declaration = "requirements" | "permissions";

/**
 * Reads a list that a script declares; none of its code runs.
 *
 * @param file absolute path of the script
 * @returns the texts of the list; undefined when the script does not declare it, or computes it
 */
export function findDeclaration(file: string, name: Declaration): readonly string[] | undefined {
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const list = createPattern(name).exec(source)?.[1];
  if (list === undefined) return undefined;
  const texts = list.replace(/^\s*\/\/.*$/gm, "").matchAll(/"([^"]*)"|'([^']*)'|`([^`$]*)`/g);
  return [...texts].map(([, double, single, template]) => double ?? single ?? template ?? "");
}

/** Returns the path under which the compiler knows a file. */
export function getRealFile(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

/**
 * Lists the scripts that a script declares as its requirements, with those that they require.
 *
 * @param file absolute path of the script
 * @param files finds them
 * @returns absolute paths; a requirement that cannot be found is left out
 */
export function listRequiredFiles(file: string, files: ScriptFiles): string[] {
  const found = new Set<string>();
  const visit = (script: string) => {
    for (const name of findDeclaration(script, "requirements") ?? []) {
      const required = files.findFile(name);
      if (required === undefined || required === file || found.has(required)) continue;
      found.add(required);
      visit(required);
    }
  };
  visit(file);
  return [...found];
}
