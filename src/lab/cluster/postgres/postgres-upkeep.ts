import type { QueuedAnalysis } from "../analysis-queue";
import type { Upkeep } from "../upkeep";
import type { ClusterDatabase } from "./cluster-database";

/** Tidies a cluster in PostgreSQL. */
export class PostgresUpkeep implements Upkeep {
  constructor(private readonly database: ClusterDatabase) {}

  async listCollected(origin: string): Promise<Pick<QueuedAnalysis, "id" | "number">[]> {
    return this.database.query<QueuedAnalysis>("SELECT id, number FROM rebox.analyses WHERE origin = $1 AND is_collected", [origin]); // prettier-ignore
  }

  async forget(ids: readonly string[]): Promise<void> {
    await this.database.query(
      `WITH gone AS (DELETE FROM rebox.analyses WHERE id = ANY($1) AND outcome IS NOT NULL RETURNING id)
       DELETE FROM rebox.history WHERE analysis IN (SELECT id FROM gone)`,
      [ids],
    );
  }

  async listNeeded(): Promise<string[]> {
    const rows = await this.database.query<{ sha256: string }>(
      `SELECT submission -> 'target' ->> 'sha256' AS sha256 FROM rebox.analyses WHERE outcome IS NULL AND submission -> 'target' IS NOT NULL
       UNION SELECT script ->> 'sha256' FROM rebox.analyses, jsonb_array_elements(submission -> 'scripts') AS script WHERE outcome IS NULL`,
    );
    return rows.map(({ sha256 }) => sha256);
  }

  async listUnknown(ids: readonly string[]): Promise<string[]> {
    const rows = await this.database.query<{ id: string }>("SELECT id FROM unnest($1::uuid[]) AS id WHERE id NOT IN (SELECT id FROM rebox.analyses)", [ids]); // prettier-ignore
    return rows.map(({ id }) => id);
  }
}
