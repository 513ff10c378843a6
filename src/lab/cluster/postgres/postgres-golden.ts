import type { GoldenList, PublishedState } from "../golden-list";
import { ClusterDatabase } from "./cluster-database";

/** The golden states of a cluster in PostgreSQL. */
export class PostgresGolden implements GoldenList {
  constructor(private readonly database: ClusterDatabase) {}

  async publish(state: PublishedState): Promise<void> {
    await this.database.query(
      `INSERT INTO rebox.golden_states (machine, name, state) VALUES ($1, $2, $3)
       ON CONFLICT (machine, name) DO UPDATE SET state = $3, published = now()`,
      [state.machine, state.name, state],
    );
    await ClusterDatabase.notify(this.database, "golden");
  }

  async list(): Promise<PublishedState[]> {
    const rows = await this.database.query<{ state: PublishedState }>("SELECT state FROM rebox.golden_states ORDER BY published DESC"); // prettier-ignore
    return rows.map(({ state }) => state);
  }

  async withdraw(machine: string, name: string): Promise<boolean> {
    const rows = await this.database.query("DELETE FROM rebox.golden_states WHERE machine = $1 AND name = $2 RETURNING 1 AS gone", [machine, name]); // prettier-ignore
    return rows.length > 0;
  }
}
