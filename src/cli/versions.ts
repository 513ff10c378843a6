import { readFileSync } from "node:fs";
import { join } from "node:path";
import { getBuiltFolder, getProjectFolder, getReboxVersion } from "../config/folders";

/** The facts that set-up recorded about the QEMU library it built. */
export interface BuiltQemu {
  readonly version: string;
  readonly patches: readonly { readonly name: string; readonly sha256: string }[];
}

/** Returns the ending of the build folders in use: "-asan" with REBOX_BUILD=asan, else nothing. */
export function getBuildSuffix(): string {
  return process.env.REBOX_BUILD === "asan" ? "-asan" : "";
}

/** Returns the folder of the QEMU library in use; it need not exist. */
export function getQemuFolder(projectFolder: string): string {
  return getBuiltFolder("qemu", projectFolder, getBuildSuffix());
}

/**
 * Finds the facts that set-up recorded about the QEMU library in use.
 *
 * @param projectFolder rebox's own folder
 * @returns undefined when it has not been built, or its info.json is damaged
 * @throws InstallationError when it is of a package of another version
 */
export function findBuiltQemu(projectFolder: string): BuiltQemu | undefined {
  const folder = getQemuFolder(projectFolder);
  try {
    const info = JSON.parse(readFileSync(join(folder, "info.json"), "utf8")) as Partial<BuiltQemu>;
    if (typeof info.version !== "string" || !Array.isArray(info.patches)) return undefined;
    return { version: info.version, patches: info.patches };
  } catch {
    return undefined;
  }
}

/**
 * Returns the versions of rebox, QEMU and Node, one a line.
 *
 * @param projectFolder rebox's own folder
 */
export function getVersionText(projectFolder: string): string {
  const qemu = findBuiltQemu(projectFolder)?.version ?? "not built yet (run: npm run setup)";
  return [`rebox ${getReboxVersion(projectFolder)}`, `QEMU ${qemu}`, `Node ${process.version}`].join("\n");
}

/** Returns the oldest version of Node that rebox runs on: "engines" of its package.json, such as "20.11.0". */
export function getOldestNode(): string {
  const manifest = JSON.parse(readFileSync(join(getProjectFolder(), "package.json"), "utf8")) as {
    readonly engines: { readonly node: string };
  };
  return manifest.engines.node.replace(/^>=/, "");
}

/**
 * Checks whether a version of Node is new enough for rebox.
 *
 * @param version such as "v20.11.0"
 */
export function isNewEnough(version: string): boolean {
  // Not localeCompare(): it loads the rules of languages, which takes as long as the rest of rebox --version.
  const [have, need] = [version.replace(/^v/, ""), getOldestNode()].map((text) => text.split(".").map(Number));
  const differs = need!.findIndex((number, index) => number !== (have![index] ?? 0));
  return differs === -1 || (have![differs] ?? 0) > need![differs]!;
}
