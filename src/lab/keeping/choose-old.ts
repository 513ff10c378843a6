import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { AnalysisDatabase } from "../analysis/analysis-database";
import { getAnalysisFolder } from "../analysis/analysis-places";
import { AnalysisSearch, type FoundAnalysis } from "../analysis/search/search-analyses";

const DAY_MS = 86_400_000;
/** Contents in a cluster's store that nothing needs are kept so long, in milliseconds: those that are being handed in are needed in a moment. */
export const CONTENT_KEPT_MS = DAY_MS;
/** Analyses that are read at once. */
const BATCH = 500;

/** Which analyses a lab need not keep: each that is given has to hold. */
export interface Retention {
  /** They have ended so many days ago, or earlier. */
  readonly olderThanDays?: number | undefined;
  /** Their results take more, in bytes. */
  readonly largerThan?: number | undefined;
  /** They have one of these judgements; "none" is without a verdict. */
  readonly judgements?: readonly string[] | undefined;
  /** The newest of those are kept until they take so much, in bytes. */
  readonly keeps?: number | undefined;
}

/** An analysis that is not kept. */
export interface OldAnalysis {
  readonly found: FoundAnalysis;
  /** Of its results on the disk, in bytes. */
  readonly size: number;
}

/**
 * Chooses the analyses of a lab that need not be kept, the oldest first. One that goes on is never among them.
 *
 * @param nowMs milliseconds since 1970
 */
export function chooseOld(
  labFolder: string,
  database: AnalysisDatabase,
  { olderThanDays, largerThan, judgements, keeps }: Retention,
  nowMs: number,
): OldAnalysis[] {
  const search = new AnalysisSearch(database);
  const chosen: OldAnalysis[] = [];
  let kept = 0;
  let before: number | undefined;
  for (;;) {
    const some = search.list({ before }, BATCH);
    for (const found of some) {
      const { outcome, ended, created, judgement = "none" } = found;
      if (outcome === undefined) continue;
      if (olderThanDays !== undefined && nowMs - Date.parse(ended ?? created) < olderThanDays * DAY_MS) continue;
      if (judgements !== undefined && !judgements.includes(judgement)) continue;
      const size = measureFolder(getAnalysisFolder(labFolder, found.id));
      if (largerThan !== undefined && size <= largerThan) continue;
      kept += size;
      if (keeps === undefined || kept > keeps) chosen.push({ found, size });
    }
    if (some.length < BATCH) return chosen.toReversed();
    before = some.at(-1)!.id;
  }
}

/**
 * Returns what the files below a folder take on the disk, in bytes. Of one that has names elsewhere, as the golden state that a
 * recording begins from has, it is the part of these names: removing one of them frees nothing yet.
 */
export function measureFolder(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => lstatSync(join(parentPath, name), { throwIfNoEntry: false }))
    .reduce((sum, found) => sum + (found === undefined ? 0 : (found.blocks * 512) / Math.max(found.nlink, 1)), 0);
}
