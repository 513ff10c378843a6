import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AnalysisDatabase } from "../analysis/analysis-database";
import { getAnalysisFolder } from "../analysis/analysis-places";
import { ServedQueue } from "../analysis/queue/served-queue";
import { AnalysisIndex } from "../analysis/search/analysis-index";
import { AnalysisSearch } from "../analysis/search/search-analyses";
import type { OldAnalysis } from "./choose-old";

/** Removes an analysis of a lab that has ended: its results, what is known of it, and its target when no other analysis has that. */
export function removeOld(labFolder: string, database: AnalysisDatabase, { found }: OldAnalysis): void {
  const { id, sha256 } = found;
  // First the list: who looks into the folder meanwhile finds nothing that is half there.
  if (!new ServedQueue(database).remove(id)) return;
  new AnalysisIndex(database).remove(id);
  rmSync(getAnalysisFolder(labFolder, id), { recursive: true, force: true });
  if (sha256 === undefined || new AnalysisSearch(database).list({ hash: sha256 }, 1).length > 0) return;
  const sample = join(labFolder, "samples", sha256);
  if (existsSync(sample)) rmSync(sample, { recursive: true, force: true });
}
