import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { findProjectFolder } from "../../machine/engine/project-folder";

/** The file that pins Volatility and what it needs, with the hashes of its packages. */
export function requirementsFile(): string {
  return join(findProjectFolder(), "native/setup/volatility-requirements.txt");
}

/** The folder with rebox's own layers for Volatility. */
export function layerFolder(): string {
  return join(findProjectFolder(), "src/guest/volatility/python");
}

/** Where everything of Volatility's is kept between runs (XDG base directory specification). */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "rebox/volatility");
}

/** The virtual environment of the pinned version: another version has another folder. */
export function environmentFolder(): string {
  const hash = createHash("sha256").update(readFileSync(requirementsFile())).digest("hex").slice(0, 16);
  return join(cacheFolder(), `venv-${hash}`);
}
