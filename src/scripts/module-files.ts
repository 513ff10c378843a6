import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const MODULE_FILE = /^[^._].*\.(ts|js|mts|mjs)$/;

/**
 * Lists the files of a folder that are modules: those for TypeScript or JavaScript. A file whose name begins with "_" or "." is
 * shared by modules and is none itself, as is a declaration file.
 *
 * @param folder an absolute path
 * @returns absolute paths in the order of the names; none when there is no such folder
 */
export function listModuleFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => MODULE_FILE.test(name) && !/\.d\.m?ts$/.test(name))
    .toSorted()
    .map((name) => join(folder, name));
}
