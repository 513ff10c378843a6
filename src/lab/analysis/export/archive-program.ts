import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { AnalysisError } from "../../errors";

/** Names of 7-Zip's program: its own, and those of its packages. */
const NAMES = ["7zz", "7z", "7za"];

/** Finds 7-Zip, which packs and unpacks archives. @throws AnalysisError when it is not installed */
export function getArchiveProgram(): string {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
  for (const name of NAMES) {
    const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
    if (found !== undefined) return found;
  }
  throw new AnalysisError("archives need 7-Zip, which is not there; install it: apt install 7zip");
}
