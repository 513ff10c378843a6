import { existsSync } from "node:fs";
import { join } from "node:path";
import { getProjectFolder } from "../src/config/folders";
import { getBuildFolder } from "./guest-arguments";
import { MeasuredProcess } from "./measured-process";

const PLAIN_QEMU = join(getBuildFolder(), "plain", "qemu-system-x86_64");

/** Returns whether the plain QEMU has been built. */
export function isPlainQemuThere(): boolean {
  return existsSync(PLAIN_QEMU);
}

/** Starts the plain QEMU, built from the same source with the same settings. */
export function startPlainQemu(guestArguments: readonly string[]): MeasuredProcess {
  return new MeasuredProcess(PLAIN_QEMU, guestArguments);
}

/**
 * Starts a Node process with an engine in it.
 *
 * @param program a file of bench/inside, without its ending
 * @param args the program's own, then QEMU's
 */
export function startInside(program: string, args: readonly string[]): MeasuredProcess {
  return new MeasuredProcess(
    process.execPath,
    ["--expose-gc", join(__dirname, "inside", `${program}.js`), ...args],
    true,
  );
}

/** Starts the guest with `rebox run`, as a user would. */
export function startReboxRun(guestArguments: readonly string[]): MeasuredProcess {
  const program = join(getProjectFolder(), "build", "js", "src", "cli", "main.js");
  return new MeasuredProcess(process.execPath, [program, "run", "--monitor", "none", "--", ...guestArguments]);
}
