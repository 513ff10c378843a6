import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { VolatilityError } from "../errors";
import { environmentFolder, requirementsFile } from "./volatility-places";

/** The system's comes first: another one on the PATH may be a build of its own without venv. */
const PYTHONS = ["/usr/bin/python3", "python3"];
const PIP_TIMEOUT_MS = 600_000;
const OFFLINE = "without a network: rebox vol install --wheels FOLDER (docs/guides/volatility.md)";

/**
 * Installs the pinned Volatility 3 into a virtual environment in the user's cache folder. Does nothing when it is there.
 *
 * @param say shows progress
 * @param wheels a folder that has the packages; without it pip fetches them
 * @returns the environment's folder
 * @throws VolatilityError when Python cannot make one, or the packages cannot be fetched
 */
export function installVolatility(say: (text: string) => void, wheels?: string): string {
  const folder = environmentFolder();
  if (existsSync(join(folder, "bin/vol"))) return folder;
  const python = PYTHONS.find((name) => spawnSync(name, ["-c", "import venv, ensurepip"]).status === 0);
  if (python === undefined) {
    throw new VolatilityError("broken", "there is no Python 3 with venv: apt install python3 python3-venv");
  }
  mkdirSync(dirname(folder), { recursive: true });
  const temporary = mkdtempSync(`${folder}.`);
  try {
    say("installing Volatility 3 into the cache");
    execute(python, ["-m", "venv", temporary]);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"];
    const source = wheels === undefined ? [] : ["--no-index", "--find-links", resolve(wheels)];
    execute(join(temporary, "bin/python3"), [...pip, ...source, "-r", requirementsFile()], OFFLINE);
    try {
      renameSync(temporary, folder);
    } catch (error) {
      // Another one was faster.
      if (!existsSync(join(folder, "bin/vol"))) throw error;
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return folder;
}

function execute(program: string, args: readonly string[], advice?: string): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8", timeout: PIP_TIMEOUT_MS });
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim().split("\n").slice(-3).join(" ");
  throw new VolatilityError(
    "broken",
    `${program} ${args.slice(0, 3).join(" ")} failed: ${reason}${advice === undefined ? "" : `; ${advice}`}`,
  );
}
