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

/** The packages of what is built, for a rebox that was installed and not built. */
const PART_PACKAGES = {
  qemu: "rebox-engine-linux-x64",
  addon: "rebox-engine-linux-x64",
  ext4: "rebox-engine-linux-x64",
  network: "rebox-engine-linux-x64",
  firmware: "rebox-engine-linux-x64",
  guest: "rebox-guest-linux-x64",
} as const;

/**
 * Returns the folder of a part that is built: in rebox's own folder `build`, or else in the package that has it. It need not exist.
 *
 * @param suffix of another build of it, such as "-asan"; packages have none
 * @throws InstallationError when the package is of another version than rebox
 */
export function getBuiltFolder(
  part: keyof typeof PART_PACKAGES,
  projectFolder: string = getProjectFolder(),
  suffix = "",
): string {
  const own = join(projectFolder, "build", `${part}${suffix}`);
  if (suffix !== "" || existsSync(own)) return own;
  const name = PART_PACKAGES[part];
  const folder = findPackage(name, projectFolder);
  if (folder === undefined) return own;
  const [version, wanted] = [readManifest(join(folder, "package.json")).version, getReboxVersion(projectFolder)];
  if (version !== wanted) {
    throw new InstallationError(
      `${name} in ${folder} is of version ${version}, and rebox is ${wanted}: install the same version of both`,
    );
  }
  return join(folder, part);
}

/** Finds an installed package where rebox's own imports would find it: in a node_modules of a folder above. */
function findPackage(name: string, start: string): string | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    const found = join(folder, "node_modules", name);
    if (existsSync(join(found, "package.json"))) return found;
    if (folder === dirname(folder)) return undefined;
  }
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
