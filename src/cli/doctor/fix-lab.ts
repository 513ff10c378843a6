import { spawnSync } from "node:child_process";
import { installVolatility } from "../../guest/volatility/install-volatility";
import { UsageError } from "../errors";
import { checkLab, VOLATILITY } from "./lab-programs";

/** Runs a program, and returns its exit status; undefined when it cannot be started. */
export type RunProgram = (command: string, args: readonly string[]) => number | undefined;

/**
 * Installs what `rebox doctor --lab` misses: by apt where the system has it, and Volatility into the user's cache.
 *
 * @param say shows progress
 * @param run starts a program whose output the user sees
 * @param path the folders to look in for what is there already
 * @throws UsageError that names the packages where the system has no apt, or they cannot be installed
 */
export function fixLab(say: (text: string) => void, run: RunProgram = runVisibly, path?: string): void {
  const packages = [...new Set(checkLab(path).flatMap(({ missing }) => missing))];
  if (packages.length > 0) installPackages(packages, say, run);
  const hasVolatility = checkLab(path).some(({ name, status }) => name === VOLATILITY && status === "ok");
  if (!hasVolatility) installVolatility(say);
}

function installPackages(packages: readonly string[], say: (text: string) => void, run: RunProgram): void {
  const names = packages.join(" ");
  if (run("apt-get", ["--version"]) === undefined) {
    throw new UsageError(
      `this system has no apt: install what Debian calls ${names} by the system's own means, and look again: rebox doctor --lab`,
    );
  }
  say(`installing ${names}`);
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo"];
  for (const words of [["update"], ["install", "--yes", "--no-install-recommends", ...packages]]) {
    const quiet = ["--quiet", "-o", "DPkg::Lock::Timeout=600"];
    const [command, ...args] = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...quiet, ...words];
    const status = run(command!, args);
    if (status === 0) continue;
    const why = status === undefined ? `${command} cannot be started` : `apt-get ${words[0]} ended with ${status}`;
    throw new UsageError(`${why}; as root: apt-get install --no-install-recommends ${names}`);
  }
}

function runVisibly(command: string, args: readonly string[]): number | undefined {
  const isAsked = args[0] === "--version";
  // Its progress goes where rebox's own goes: standard output is for the result.
  const { status } = spawnSync(command, args, { stdio: ["inherit", isAsked ? "ignore" : process.stderr, "inherit"] });
  return status ?? undefined;
}
