import { findBuiltQemu } from "./built-qemu";
import { getReboxVersion } from "../config/folders";

/**
 * Returns the versions of rebox, QEMU and Node, one a line.
 *
 * @param projectFolder rebox's own folder
 */
export function getVersionText(projectFolder: string): string {
  const qemu = findBuiltQemu(projectFolder)?.version ?? "not built yet (run: npm run setup)";
  return [`rebox ${getReboxVersion(projectFolder)}`, `QEMU ${qemu}`, `Node ${process.version}`].join("\n");
}
