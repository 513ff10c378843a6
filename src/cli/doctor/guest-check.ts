import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CheckResult } from "./check-result";

const FILES = ["vmlinuz", "initramfs.cpio.gz"];

/**
 * Checks that the guest kit of the demo and the tests is there. A missing one is a warning: own guests need none of it.
 *
 * @param projectFolder rebox's own folder
 */
export function checkGuest(projectFolder: string): CheckResult {
  const name = "guest kit";
  const folder = join(projectFolder, "build", "guest");
  const missing = FILES.filter((file) => !existsSync(join(folder, file)));
  if (missing.length === 0) return { name, status: "ok", detail: `build/guest: ${FILES.join(", ")}` };
  const detail = `missing in build/guest: ${missing.join(", ")}`;
  return { name, status: "warn", detail, advice: "for demo and tests: npm run guest" };
}
