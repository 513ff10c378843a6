import type { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import type { AnalysisSearch } from "../../lab/analysis/search/search-analyses";

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
