import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { InstallationError } from "./errors";

/**
 * Returns the folder of rebox itself: the nearest one whose package.json is rebox's. A checkout and an installed package are
 * the same in this, and a folder of the user's above or between is not mistaken for it.
 *
 * @param start where to begin looking, upwards; the folder of this file by default
 * @throws InstallationError when no folder above is rebox's
 */
export function getProjectFolder(start: string = __dirname): string {
  for (let folder = start; ; folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest) && readManifest(manifest).name === "rebox") return folder;
    if (folder === dirname(folder)) {
      throw new InstallationError(
        `no package.json of rebox in ${start} or above it; run rebox from its own checkout or package`,
      );
    }
  }
}

/**
 * Returns the version of rebox itself.
 *
 * @param projectFolder rebox's own folder
 */
export function getReboxVersion(projectFolder: string = getProjectFolder()): string {
  return readManifest(join(projectFolder, "package.json")).version ?? "of unknown version";
}

/**
 * Returns the folder in which rebox keeps its caches between runs, below XDG_CACHE_HOME or ~/.cache (XDG base directory
 * specification). It need not exist. Set-up has the same rule a second time, in native/setup/places.mjs, since it runs
 * before anything is compiled.
 *
 * @param below the names of folders in it
 */
export function getCacheFolder(...below: string[]): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "rebox", ...below);
}

function readManifest(file: string): { name?: string; version?: string } {
  return JSON.parse(readFileSync(file, "utf8")) as { name?: string; version?: string };
}

/** Returns the folder of profiles of kernels: in the folder of the user's data (XDG base directory specification). */
export function getProfileFolder(): string {
  return join(process.env.XDG_DATA_HOME || join(homedir(), ".local/share"), "rebox/profiles");
}

/** Returns the folder of symbols of images for Windows, laid out as a symbol server: in the folder of the user's data. */
export function getSymbolFolder(): string {
  return join(process.env.XDG_DATA_HOME || join(homedir(), ".local/share"), "rebox/symbols");
}
