import { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder, getDatabaseFile } from "../../lab/analysis/analysis-places";
import { type AnalysisRecord, readRecord } from "../../lab/analysis/analysis-record";
import { reportAbandoned } from "../../lab/analysis/end-abandoned";
import { AnalysisIndex, type IndexedReport } from "../../lab/analysis/search/analysis-index";
import { readReport } from "./read-report";
import { isWanted } from "./report-work";

const INDEXED = ["verdict", "processes", "knowsTarget", "network", "control", "files"] as const;
const NO_REPORT: IndexedReport = { verdict: undefined, processes: [], knowsTarget: true, network: [], control: [], files: [] }; // prettier-ignore

/** Adds the analyses to the index that were made before there was one. @returns how many */
export function indexMissing(labFolder: string): number {
  return withDatabase(labFolder, (database) => {
    const index = new AnalysisIndex(database);
    let count = 0;
    for (const id of index.listMissing()) {
      const folder = getAnalysisFolder(labFolder, id);
      try {
        index.add(folder, { ...readRecord(folder), id }, readReport(folder, INDEXED, isWanted) ?? NO_REPORT);
        count++;
      } catch {
        // It has left no record, so there is nothing by which it could be found.
      }
    }
    return count;
  });
}

/** Writes the report of an analysis whose process has left it. */
export function reportLeft(labFolder: string, folder: string, record: AnalysisRecord): void {
  withDatabase(labFolder, (database) => reportAbandoned(database, folder, record));
}

function withDatabase<Result>(labFolder: string, use: (database: AnalysisDatabase) => Result): Result {
  const database = new AnalysisDatabase(getDatabaseFile(labFolder));
  try {
    return use(database);
  } finally {
    database.close();
  }
}
