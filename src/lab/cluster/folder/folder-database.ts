import { existsSync, type FSWatcher, mkdirSync, readFileSync, utimesSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { readMonotonicMs } from "../../../config/moment";
import { ClusterError } from "../../errors";
import type { ClusterWord } from "../open-cluster";
import { findTableProblem, MIGRATIONS } from "./folder-schema";

/** The longest wait for another process' transaction, in milliseconds. */
const BUSY_MS = 30_000;
const WORDS: readonly ClusterWord[] = ["work", "ended", "cancelled", "queues", "golden"];
/** How long an attempt without a heartbeat has its analysis, in seconds. */
const LEASE_S = 30;

/** The database of a cluster that is a folder of one host. */
export class FolderDatabase {
  readonly connection: Database.Database;
  readonly leaseS: number;
  readonly #words: string;
  readonly #watches: FSWatcher[] = [];
  /** The words of the transaction that goes on: others are woken once they can see what it has done. */
  #held: Set<ClusterWord> | undefined;

  /**
   * Opens the database of a folder.
   *
   * @param makes whether it is made where there is none
   * @throws ClusterError when it is none, or of another version
   */
  constructor(
    readonly folder: string,
    makes: boolean,
  ) {
    const file = join(folder, "cluster.db");
    if (!makes && !existsSync(file)) throw new ClusterError(`${folder} is no cluster of rebox; make it one: rebox lab init --cluster FOLDER`); // prettier-ignore
    this.#words = join(folder, "words");
    mkdirSync(this.#words, { recursive: true, mode: 0o700 });
    this.connection = new Database(file);
    this.connection.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL;`);
    try {
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      if (makes) this.transact(() => this.#migrate(boot));
      this.leaseS = this.transact(() => this.#readFacts(folder, boot));
    } catch (error) {
      this.connection.close();
      throw error;
    }
  }

  /** Reads rows. */
  select<Row>(text: string, ...values: readonly unknown[]): Row[] {
    return this.connection.prepare(text).all(...values) as Row[];
  }

  /** Runs a statement. @returns how many rows it has changed */
  change(text: string, ...values: readonly unknown[]): number {
    return this.connection.prepare(text).run(...values).changes;
  }

  /** Runs statements that take effect together or not at all; no other process writes meanwhile. */
  transact<Result>(act: () => Result): Result {
    const held = (this.#held = new Set<ClusterWord>());
    let result: Result;
    try {
      result = this.connection.transaction(act).immediate() as Result;
    } finally {
      this.#held = undefined;
    }
    for (const word of held) this.#touch(word);
    return result;
  }

  /** Wakes the others; in a transaction, when that has taken effect. */
  tell(word: ClusterWord): void {
    if (this.#held !== undefined) this.#held.add(word);
    else this.#touch(word);
  }

  /** Touches a file that the others watch. */
  #touch(word: ClusterWord): void {
    const file = join(this.#words, word);
    const now = new Date();
    if (existsSync(file)) utimesSync(file, now, now);
    else writeFileSync(file, "");
  }

  listen(onWord: (word: ClusterWord) => void): void {
    const watching = watch(this.#words, { persistent: false }, (_event, name) => {
      const word = WORDS.find((each) => each === name);
      if (word !== undefined) onWord(word);
    });
    watching.on("error", () => undefined);
    this.#watches.push(watching);
    onWord("");
  }

  close(): void {
    for (const watching of this.#watches) watching.close();
    this.connection.close();
  }

  #migrate(boot: string): void {
    this.connection.exec("CREATE TABLE IF NOT EXISTS facts (version INTEGER NOT NULL, lease_s INTEGER NOT NULL, boot TEXT NOT NULL) STRICT"); // prettier-ignore
    this.change("INSERT INTO facts (version, lease_s, boot) SELECT 0, ?, ? WHERE NOT EXISTS (SELECT 1 FROM facts)", LEASE_S, boot); // prettier-ignore
    const [{ version }] = this.select<{ version: number }>("SELECT version FROM facts") as [{ version: number }];
    for (const statements of MIGRATIONS.slice(version)) this.connection.exec(statements);
    this.change("UPDATE facts SET version = max(version, ?)", MIGRATIONS.length);
  }

  #readFacts(folder: string, boot: string): number {
    const isMade = this.select("SELECT 1 FROM sqlite_schema WHERE name = 'facts'").length > 0;
    const facts = isMade ? this.select<{ version: number; lease_s: number; boot: string }>("SELECT * FROM facts")[0] : undefined; // prettier-ignore
    if (facts === undefined) throw new ClusterError(`${folder} is no cluster of rebox yet; make it one: rebox lab init --cluster FOLDER`); // prettier-ignore
    const problem = findTableProblem(folder, facts.version);
    if (problem !== undefined) throw new ClusterError(problem);
    if (facts.boot !== boot) {
      // The clock has begun anew: what ran is over, and a lease from now on is the time to say so.
      const nowMs = readMonotonicMs();
      this.change("UPDATE analyses SET beat_ms = ?, failed_ms = 0 WHERE outcome IS NULL", nowMs);
      this.change("UPDATE hosts SET seen_ms = ?", nowMs - facts.lease_s * 1_000);
      this.change("UPDATE facts SET boot = ?, looked_ms = 0, ends_from_ms = 0", boot);
    }
    return facts.lease_s;
  }
}
