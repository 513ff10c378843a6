import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { findBuiltQemu, getQemuFolder } from "../built-qemu";
import type { CheckResult } from "./check-result";

const LIBRARY = "libqemu-system-x86_64.so";

/**
 * Checks that the QEMU library is built, and that what is known about it can be read.
 *
 * @param projectFolder rebox's own folder
 */
export function checkQemu(projectFolder: string): CheckResult {
  const name = "QEMU";
  const folder = getQemuFolder(projectFolder);
  const shown = relative(projectFolder, folder);
  const advice = "build it: npm run setup (7 to 8 minutes on two cores, the first time)";
  if (!existsSync(join(folder, LIBRARY))) {
    return { name, status: "fail", detail: `${shown}/${LIBRARY} is missing`, advice };
  }
  const qemu = findBuiltQemu(projectFolder);
  if (qemu === undefined) {
    return { name, status: "fail", detail: `${shown}/info.json is missing or damaged`, advice };
  }
  return { name, status: "ok", detail: `${qemu.version} as a library in ${shown}` };
}
