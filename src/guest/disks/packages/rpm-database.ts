import Database from "libsql";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskError } from "../disk-error";
import type { GuestPackage } from "./guest-package";
import { parseRpmHeader } from "./rpm-header";

const MOST_PACKAGES = 1_000_000;

interface Row {
  readonly hex: string;
}

/**
 * Reads rpm's database of installed packages, SQLite since rpm 4.16.
 *
 * @param content of rpmdb.sqlite
 * @param journal of rpmdb.sqlite-wal, which has what was written last
 * @throws DiskError when it is no such database
 */
export function readRpmDatabase(content: Buffer, journal: Buffer | undefined): GuestPackage[] {
  const folder = mkdtempSync(join(tmpdir(), "rebox-rpm-"));
  try {
    const path = join(folder, "rpmdb.sqlite");
    writeFileSync(path, content, { mode: 0o600 });
    if (journal && journal.length > 0) writeFileSync(`${path}-wal`, journal, { mode: 0o600 });
    const database = new Database(path);
    try {
      checkTable(database);
      // As text, because what else a made-up table holds has no place in a value of this library.
      const rows = database.prepare("SELECT hex(blob) AS hex FROM Packages LIMIT ?").all(MOST_PACKAGES) as Row[];
      return rows.flatMap(({ hex }) => parseRpmHeader(Buffer.from(hex, "hex")) ?? []);
    } finally {
      database.close();
    }
  } catch (error) {
    throw new DiskError(`rpm's database cannot be read: ${(error as Error).message}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A view, or a column that is computed, would execute what the guest wants. @throws DiskError when it is no plain table */
function checkTable(database: Database.Database): void {
  database.exec("PRAGMA trusted_schema = OFF");
  const found = database.prepare("SELECT type, sql FROM sqlite_master WHERE name = 'Packages'").all() as {
    readonly type: unknown;
    readonly sql: unknown;
  }[];
  const [table] = found;
  const isPlain = table?.type === "table" && /^CREATE TABLE\b(?!.*\bAS\b)/is.test(String(table.sql));
  if (found.length !== 1 || !isPlain) throw new DiskError("it has no table of packages");
}
