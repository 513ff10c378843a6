import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What set-up wrote down about the QEMU library it built. */
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
  return join(projectFolder, "build", `qemu${getBuildSuffix()}`);
}

/**
 * Finds what was written down about the QEMU library in use.
 *
 * @param projectFolder rebox's own folder
 * @returns undefined when it has not been built, or its info.json is damaged
 */
export function findBuiltQemu(projectFolder: string): BuiltQemu | undefined {
  try {
    const info = JSON.parse(
      readFileSync(join(getQemuFolder(projectFolder), "info.json"), "utf8"),
    ) as Partial<BuiltQemu>;
    if (typeof info.version !== "string" || !Array.isArray(info.patches)) return undefined;
    return { version: info.version, patches: info.patches };
  } catch {
    return undefined;
  }
}
