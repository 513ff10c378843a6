import type { AnalysisOutcome, AnalysisPhase } from "../../analysis/analysis-record";
import type { QueuedAnalysis, QueueFilter, StoredFile } from "../analysis-queue";
import type { FolderDatabase } from "./folder-database";

const MOST_LISTED = 1_000;

/** An analysis of a cluster as SQLite answers it. */
export interface Row {
  readonly id: string;
  readonly origin: string;
  readonly number: number;
  readonly submitter: string;
  readonly queue: string;
  readonly submission: string;
  readonly created: string;
  readonly phase: AnalysisPhase;
  readonly attempt: number;
  readonly host: string | null;
  readonly machine: string | null;
  readonly tried: string;
  readonly failed_ms: number;
  readonly cancellation: string | null;
  readonly outcome: AnalysisOutcome | null;
  readonly reason: string | null;
  readonly files: string;
}

/** Lists the analyses of a cluster. */
export function listRows(
  database: FolderDatabase,
  { origin, number: only, isUncollected = false, limit = MOST_LISTED }: QueueFilter,
): QueuedAnalysis[] {
  const order = isUncollected ? "ORDER BY outcome IS NULL, number" : "ORDER BY sequence DESC";
  const rows = database.select<Row>(
    `SELECT * FROM analyses WHERE (? IS NULL OR origin = ?) AND (NOT ? OR NOT is_collected) AND (? IS NULL OR number = ?) ${order} LIMIT ?`,
    ...[origin ?? null, origin ?? null, Number(isUncollected), only ?? null, only ?? null, limit],
  );
  return rows.map(({ id, origin: from, number, submitter, phase, attempt, ...row }) => ({
    ...{ id, origin: from, number, submitter, phase, attempt, created: new Date(row.created) },
    ...{ host: row.host ?? undefined, machine: row.machine ?? undefined, outcome: row.outcome ?? undefined },
    ...{ reason: row.reason ?? undefined, files: JSON.parse(row.files) as StoredFile[] },
  }));
}

/** Something that was done to an analysis. */
interface Done {
  readonly id: string;
  readonly act: string;
  readonly attempt: number;
  readonly host?: string | null;
  readonly machine?: string | null;
  readonly reason?: string;
}

/** Writes down what was done, for people and for the checker of tests. */
export function note(database: FolderDatabase, { id, act, attempt, host, machine, reason }: Done): void {
  database.change(
    "INSERT INTO history (analysis, act, attempt, host, machine, reason) VALUES (?, ?, ?, ?, ?, ?)",
    ...[id, act, attempt, host ?? null, machine ?? null, reason ?? null],
  );
}
