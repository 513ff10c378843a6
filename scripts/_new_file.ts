import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Reads the path of a file that is to be written, and makes its folder.
 *
 * @param line the rest of a command's line; the path may have blanks
 * @throws Error when there is none, or the folder cannot be made
 */
export function readNewFile(line: string): string {
  const path = line.trim();
  if (path === "") throw new Error("the file is missing, such as results/file");
  const folder = dirname(path);
  if (!existsSync(folder)) mkdirSync(folder);
  return path;
}
