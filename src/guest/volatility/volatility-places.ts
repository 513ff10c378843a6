import { createHash } from "node:crypto";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { getCacheFolder, getProjectFolder } from "../../config/folders";

/** The file that pins Volatility and what it needs, with the hashes of its packages. */
export function requirementsFile(): string {
  return join(getProjectFolder(), "native/setup/volatility-requirements.txt");
}

/** The folder with rebox's own layers for Volatility. */
export function layerFolder(): string {
  return join(getProjectFolder(), "src/guest/volatility/python");
}

/** The folder in which everything of Volatility's is kept between runs. */
export function cacheFolder(): string {
  return getCacheFolder("volatility");
}

/** The virtual environment of the pinned version: another version has another folder. */
export function environmentFolder(): string {
  const hash = createHash("sha256").update(readFileSync(requirementsFile())).digest("hex").slice(0, 16);
  return join(cacheFolder(), `venv-${hash}`);
}
