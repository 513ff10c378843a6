import type { ClusterSubmission, QueuedAnalysis } from "../analysis-queue";
import type { Upkeep } from "../upkeep";
import type { FolderDatabase } from "./folder-database";

/** Tidies a cluster that is a folder. */
export class FolderUpkeep implements Upkeep {
  constructor(private readonly database: FolderDatabase) {}

  async listCollected(origin: string): Promise<Pick<QueuedAnalysis, "id" | "number">[]> {
    return this.database.select("SELECT id, number FROM analyses WHERE origin = ? AND is_collected", origin);
  }

  async forget(ids: readonly string[]): Promise<void> {
    const gone = "(SELECT value FROM json_each(?))";
    this.database.transact(() => {
      this.database.change(`DELETE FROM history WHERE analysis IN (SELECT id FROM analyses WHERE id IN ${gone} AND outcome IS NOT NULL)`, JSON.stringify(ids)); // prettier-ignore
      this.database.change(`DELETE FROM analyses WHERE id IN ${gone} AND outcome IS NOT NULL`, JSON.stringify(ids));
    });
  }

  async listNeeded(): Promise<string[]> {
    return this.database
      .select<{ submission: string }>("SELECT submission FROM analyses WHERE outcome IS NULL")
      .flatMap(({ submission }) => {
        const { target, scripts } = JSON.parse(submission) as ClusterSubmission;
        return [...(target === undefined ? [] : [target]), ...scripts].map(({ sha256 }) => sha256);
      });
  }

  async listUnknown(ids: readonly string[]): Promise<string[]> {
    const rows = this.database.select<{ id: string }>("SELECT value AS id FROM json_each(?) WHERE value NOT IN (SELECT id FROM analyses)", JSON.stringify(ids)); // prettier-ignore
    return rows.map(({ id }) => id);
  }
}
