import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { getBuildSuffix } from "../built-qemu";
import type { CheckResult } from "./check-result";

const LOAD_LIMIT_MS = 30_000;

/**
 * Checks that the addon is there and loads. It is loaded in a process of its own, so that even a crash is a result.
 *
 * @param projectFolder rebox's own folder
 */
export function checkAddon(projectFolder: string): CheckResult {
  const name = "addon";
  const file = join(projectFolder, "build", `addon${getBuildSuffix()}`, "Release", "rebox.node");
  const shown = relative(projectFolder, file);
  if (!existsSync(file)) {
    return { name, status: "fail", detail: `${shown} is missing`, advice: "build it: npm run setup" };
  }
  const load = `require(${JSON.stringify(file)}); process.exit(0);`;
  const child = spawnSync(process.execPath, ["-e", load], { encoding: "utf8", timeout: LOAD_LIMIT_MS });
  if (child.status === 0) return { name, status: "ok", detail: `${shown} loads` };
  const reason =
    child.stderr.split("\n").find((line) => /error/i.test(line)) ??
    (child.signal === null ? `exit status ${child.status}` : `signal ${child.signal}`);
  const advice =
    "build it again: npm run setup; if that does not help, the message names the missing library or symbol";
  return { name, status: "fail", detail: `${shown} does not load: ${reason.trim()}`, advice };
}
