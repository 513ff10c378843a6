import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Returns the folder of rebox itself: the one whose package.json is rebox's.
 *
 * @param start where to start looking, upwards; this file's own folder by default
 * @throws Error when no folder above is rebox's
 */
export function getProjectFolder(start: string = __dirname): string {
  for (let folder = start; ; folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest) && readManifest(manifest).name === "rebox") return folder;
    if (folder === dirname(folder)) {
      throw new Error(`no package.json of rebox in ${start} or above it; run rebox from its own checkout or package`);
    }
  }
}

/** Returns rebox's own version. */
export function getReboxVersion(projectFolder: string): string {
  return readManifest(join(projectFolder, "package.json")).version ?? "of unknown version";
}

function readManifest(file: string): { name?: string; version?: string } {
  return JSON.parse(readFileSync(file, "utf8")) as { name?: string; version?: string };
}
