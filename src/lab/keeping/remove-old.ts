import { rmSync } from "node:fs";
import { join } from "node:path";
import type { AnalysisDatabase } from "../analysis/analysis-database";
import { getAnalysisFolder } from "../analysis/analysis-places";
import { ServedQueue } from "../analysis/queue/served-queue";
import { AnalysisIndex } from "../analysis/search/analysis-index";
import { AnalysisSearch } from "../analysis/search/search-analyses";
import type { OldAnalysis } from "./choose-old";
import { isWanted, listContents } from "./wanted-content";

/** Removes an analysis of a lab that has ended: its results, what is known of it, and its target when no other analysis has that. */
export function removeOld(labFolder: string, database: AnalysisDatabase, { found }: OldAnalysis): void {
  const { id } = found;
  // First the list: who looks into the folder meanwhile finds nothing that is half there.
  if (!new ServedQueue(database).remove(id)) return;
  new AnalysisIndex(database).remove(id);
  rmSync(getAnalysisFolder(labFolder, id), { recursive: true, force: true });
  const known = { search: new AnalysisSearch(database), database };
  for (const sha256 of listContents(found))
    if (!isWanted(known, sha256)) rmSync(join(labFolder, "samples", sha256), { recursive: true, force: true });
}
