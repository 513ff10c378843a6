import type { AnalysisDatabase } from "../analysis/analysis-database";
import type { AnalysisSearch, FoundAnalysis } from "../analysis/search/search-analyses";

/** The place of a file that was handed in to a server, in its lab. */
const HANDED_IN = /\/samples\/([0-9a-f]{64})\/[^/]+$/;

/** Lists the contents that an analysis is of, by SHA-256: the file that was analysed, and what was handed in, which may be an archive with that file. */
export function listContents({ sha256, target }: Pick<FoundAnalysis, "sha256" | "target">): string[] {
  const handedIn = HANDED_IN.exec(target ?? "")?.[1];
  return [...new Set([sha256, handedIn])].filter((each) => each !== undefined);
}

/**
 * Returns whether an analysis is of a content that was handed in: by its facts, or as the archive that its target is taken out of, which the
 * facts of one that has ended do not name.
 *
 * @param sha256 of the content
 */
export function isWanted(
  { search, database }: { readonly search: AnalysisSearch; readonly database: AnalysisDatabase },
  sha256: string,
): boolean {
  if (search.list({ hash: sha256 }, 1).length > 0) return true;
  const place = `/samples/${sha256}/`;
  // The first condition spares most requests from being parsed.
  return database.select("WHERE instr(request, ?) > 0 AND instr(json_extract(request, '$.target'), ?) > 0 LIMIT 1", place, place).length > 0; // prettier-ignore
}
