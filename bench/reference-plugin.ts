import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { getProjectFolder } from "../src/config/folders";
import { getBuildFolder } from "./guest-arguments";

/** Executed by nothing: Linux maps no page there. */
export const NOWHERE = { first: 0x1000n, last: 0x1fffn };

/**
 * Compiles the plugin for plain QEMU that filters are compared with.
 *
 * @param event what it is called for
 * @returns QEMU's arguments that load it, to pass nothing
 * @throws Error with the compiler's words
 */
export function getReferencePlugin(event: "block" | "insn"): string[] {
  const build = getBuildFolder();
  const plugin = join(build, "bench", "reference_plugin.so");
  mkdirSync(join(build, "bench"), { recursive: true });
  const glib = execFileSync("pkg-config", ["--cflags", "--libs", "glib-2.0"], { encoding: "utf8" }).trim().split(/\s+/);
  const source = join(getProjectFolder(), "bench", "native", "reference_plugin.c");
  execFileSync("gcc", ["-O2", "-shared", "-fPIC", "-o", plugin, source, "-I", join(build, "plain"), ...glib]);
  return ["-plugin", `${plugin},event=${event},first=${NOWHERE.first},last=${NOWHERE.last}`];
}
