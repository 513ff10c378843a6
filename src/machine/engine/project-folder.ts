import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Finds the project's folder: the nearest one above this file that has a package.json. */
export function findProjectFolder(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) {
    folder = dirname(folder);
  }
  return folder;
}

/** Reads rebox's own version. */
export function readReboxVersion(folder: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
  return manifest.version;
}
