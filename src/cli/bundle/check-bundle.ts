import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import type { CheckResult } from "../doctor/checks";
import { findBundle } from "./load-bundle";

/**
 * Checks that commands start out of the bundle. Without it they do the same, and take longer to start.
 *
 * @param projectFolder rebox's own folder
 */
export function checkBundle(projectFolder: string): CheckResult {
  const name = "bundle";
  const folder = join(projectFolder, "build/bundle");
  const advice = "make it: npm run setup; until then commands load the compiled files, and start more slowly";
  if (!existsSync(join(folder, "stamp.json"))) return { name, status: "warn", detail: "there is none", advice };
  const stamp = findBundle(folder);
  if (stamp === undefined) {
    return { name, status: "warn", detail: "rebox was compiled again after it was made", advice };
  }
  return { name, status: "ok", detail: relative(projectFolder, join(folder, stamp.file)) };
}
