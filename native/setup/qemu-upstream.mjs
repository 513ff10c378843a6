import { readFileSync } from "node:fs";
import { join } from "node:path";
import { places } from "./places.mjs";
import { SetupError } from "./setup-error.mjs";

/**
 * Reads which source package QEMU comes from.
 * @returns {{package: string, suite: string, series: string}}
 */
export function qemuUpstream() {
  const path = join(places.patches, "UPSTREAM");
  const text = readFileSync(path, "utf8");
  const field = (name) => {
    const value = new RegExp(`^${name}: (.+)$`, "m").exec(text)?.[1];
    if (value === undefined) throw new SetupError(`${path} has no line "${name}: ..."; restore it from git`);
    return value;
  };
  return { package: field("Package"), suite: field("Suite"), series: field("Series") };
}
