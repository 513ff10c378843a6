import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { getCacheFolder } from "../../config/folders";
import type { CheckResult } from "./check-result";

const GIB = 1024 ** 3;
const NEEDED_GIB = 6;

/**
 * Checks that a build of QEMU fits on the disk. Too little is a warning: what is built already needs no more.
 *
 * @param folder where builds are kept; it need not exist yet
 */
export function checkDisk(folder: string = getCacheFolder()): CheckResult {
  const name = "disk space";
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = statfsSync(existing);
  const freeGib = (bavail * bsize) / GIB;
  const detail = `${freeGib.toFixed(1)} GiB free for ${folder}`;
  if (freeGib >= NEEDED_GIB) return { name, status: "ok", detail };
  const advice = `a build of QEMU needs ${NEEDED_GIB} GiB: free some, or set XDG_CACHE_HOME to a folder on a larger disk`;
  return { name, status: "warn", detail, advice };
}
