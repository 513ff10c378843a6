import { existsSync, lstatSync, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { listFiles, type ReportFile } from "../../lab/analysis/report/report";
import { NotThereError } from "../errors";

/** The files that an analysis has while it runs, which are nobody's results. */
const HIDDEN = /(^|\/)\./;

/** Lists the files that an analysis has left. */
export function listResults(labFolder: string, id: number): ReportFile[] {
  const folder = getAnalysisFolder(labFolder, id);
  return existsSync(folder) ? listFiles(folder, "").filter(({ path }) => !HIDDEN.test(path)) : [];
}

/** Lists the files that a target wrote, code that it unpacked, and the memory of its processes. */
export function listArtefacts(labFolder: string, id: number): ReportFile[] {
  return listResults(labFolder, id).filter(({ path }) => /^(artefacts|cores|code)\//.test(path));
}

/** Lists the pictures of a guest's screen, in their order. */
export function listScreenshots(labFolder: string, id: number): string[] {
  return listResults(labFolder, id).flatMap(({ path }) => (/^shots\/[\w.-]+\.png$/.test(path) ? [path.slice("shots/".length)] : [])); // prettier-ignore
}

/**
 * Finds a file of an analysis. Nothing outside of its folder is ever found, and no link is followed.
 *
 * @param name relative to the folder of the analysis, as a request has it
 * @returns its absolute path and size in bytes
 * @throws NotThereError
 */
export function getResultFile(
  labFolder: string,
  id: number,
  name: string,
): { readonly path: string; readonly size: number } {
  // prettier-ignore
  const refuse = () => new NotThereError(`analysis ${id} has no file of that name`);
  const parts = name.split("/");
  if (HIDDEN.test(name) || /[\0\\]/.test(name) || parts.some((part) => part === "")) throw refuse();
  const folder = getAnalysisFolder(labFolder, id);
  const path = join(folder, ...parts);
  try {
    if (!lstatSync(path).isFile() || !realpathSync(path).startsWith(`${realpathSync(folder)}${sep}`)) throw refuse();
  } catch {
    throw refuse();
  }
  return { path, size: statSync(path).size };
}
