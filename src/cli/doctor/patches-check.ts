import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findBuiltQemu } from "../built-qemu";
import type { CheckResult } from "./check-result";

/**
 * Checks that the QEMU library was built with the patches that are in qemu-patches now, in the same order.
 *
 * @param projectFolder rebox's own folder
 */
export function checkPatches(projectFolder: string): CheckResult {
  const name = "patches";
  const folder = join(projectFolder, "qemu-patches");
  const series = join(folder, "series");
  if (!existsSync(series)) {
    return {
      name,
      status: "fail",
      detail: "qemu-patches/series is missing",
      advice: "restore it: git checkout qemu-patches",
    };
  }
  const names = readFileSync(series, "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "");
  const absent = names.find((patch) => !existsSync(join(folder, patch)));
  if (absent !== undefined) {
    const advice = "restore it: git checkout qemu-patches; or drop its line from the series";
    return { name, status: "fail", detail: `qemu-patches/series names ${absent}, which is missing`, advice };
  }
  const built = findBuiltQemu(projectFolder)?.patches;
  if (built === undefined) {
    return {
      name,
      status: "warn",
      detail: "there is no built QEMU to compare with",
      advice: "build it: npm run setup",
    };
  }
  const differing = findDifference(
    built.map((patch) => `${patch.name} ${patch.sha256}`),
    names.map(
      (patch) =>
        `${patch} ${createHash("sha256")
          .update(readFileSync(join(folder, patch)))
          .digest("hex")}`,
    ),
  );
  if (differing === undefined) return { name, status: "ok", detail: `${names.length}, as built` };
  const detail = `QEMU was built with other patches (${differing.split(" ")[0]} differs)`;
  return { name, status: "fail", detail, advice: "build QEMU again: npm run setup" };
}

/** Returns the first element that the lists do not share. */
function findDifference(built: readonly string[], wanted: readonly string[]): string | undefined {
  const at = wanted.findIndex((item, index) => item !== built[index]);
  return at === -1 ? built[wanted.length] : wanted[at];
}
