import type { GoldenList, PublishedState } from "../golden-list";
import type { FolderDatabase } from "./folder-database";

/** The golden states of a cluster that is a folder. */
export class FolderGolden implements GoldenList {
  constructor(private readonly database: FolderDatabase) {}

  async publish(state: PublishedState): Promise<void> {
    const { machine, name } = state;
    this.database.transact(() => {
      this.database.change("DELETE FROM golden_states WHERE machine = ? AND name = ?", machine, name);
      this.database.change("INSERT INTO golden_states (machine, name, state) VALUES (?, ?, ?)", machine, name, JSON.stringify(state)); // prettier-ignore
    });
    this.database.tell("golden");
  }

  async list(): Promise<PublishedState[]> {
    const rows = this.database.select<{ state: string }>("SELECT state FROM golden_states ORDER BY sequence DESC");
    return rows.map(({ state }) => JSON.parse(state) as PublishedState);
  }

  async withdraw(machine: string, name: string): Promise<boolean> {
    return this.database.change("DELETE FROM golden_states WHERE machine = ? AND name = ?", machine, name) > 0;
  }
}
