import { realpathSync } from "node:fs";
import { join } from "node:path";
import { AnalysisDatabase } from "./analysis-database";

/** Returns the folder that has the results of one analysis. */
export function getAnalysisFolder(labFolder: string, id: number): string {
  return join(labFolder, "analyses", String(id));
}

/** Returns the database with the analyses of a lab. */
export function getDatabaseFile(labFolder: string): string {
  return join(labFolder, "analyses", "analyses.db");
}

/** Opens the database with the analyses of a lab. */
export function openDatabase(labFolder: string): AnalysisDatabase {
  return new AnalysisDatabase(getDatabaseFile(labFolder));
}

/** Returns what all processes of one analysis have in their environment as REBOX_ANALYSIS. */
export function getProcessMark(labFolder: string, id: number): string {
  return `${id}@${realpathSync(labFolder)}`;
}
