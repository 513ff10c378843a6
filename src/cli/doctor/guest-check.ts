import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { CheckResult } from "./check-result";

/**
 * Checks that the guest kit of the demo and the tests is there. A missing one is a warning: own guests need none of it.
 *
 * @param projectFolder rebox's own folder
 */
export function checkGuest(projectFolder: string): CheckResult {
  const name = "guest kit";
  const folder = join(projectFolder, "build", "guest");
  const kernels = existsSync(folder) ? readdirSync(folder).filter((entry) => !entry.startsWith(".")) : [];
  if (kernels.length > 0) return { name, status: "ok", detail: `build/guest holds ${kernels.join(", ")}` };
  return { name, status: "warn", detail: "build/guest is missing", advice: "for demo and tests: npm run guest" };
}
