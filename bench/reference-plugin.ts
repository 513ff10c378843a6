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
  const plugin = compile(join(getProjectFolder(), "bench", "native", "reference_plugin.c"), "reference_plugin.so");
  return ["-plugin", `${plugin},event=${event},first=${NOWHERE.first},last=${NOWHERE.last}`];
}

/**
 * Compiles QEMU's own plugin that notes which blocks were executed, contrib/plugins/drcov.c.
 *
 * @param file what it writes at the end
 * @returns QEMU's arguments that load it
 * @throws Error with the compiler's words
 */
export function getCoveragePlugin(file: string): string[] {
  return ["-plugin", `${compile(join(getBuildFolder(), "plain", "drcov.c"), "drcov.so")},filename=${file}`];
}

function compile(source: string, name: string): string {
  const build = getBuildFolder();
  const plugin = join(build, "bench", name);
  mkdirSync(join(build, "bench"), { recursive: true });
  const glib = execFileSync("pkg-config", ["--cflags", "--libs", "glib-2.0"], { encoding: "utf8" }).trim().split(/\s+/);
  execFileSync("gcc", ["-O2", "-shared", "-fPIC", "-o", plugin, source, "-I", join(build, "plain"), ...glib]);
  return plugin;
}
