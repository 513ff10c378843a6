import Database from "libsql";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskError } from "../disk-error";
import type { GuestPackage } from "./guest-package";
import { parseRpmHeader } from "./rpm-header";

const MOST_PACKAGES = 1_000_000;

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
      const rows = database.prepare("SELECT blob FROM Packages LIMIT ?").all(MOST_PACKAGES) as { blob: unknown }[];
      return rows.flatMap(({ blob }) => (blob instanceof Uint8Array && parseRpmHeader(Buffer.from(blob))) || []);
    } finally {
      database.close();
    }
  } catch (error) {
    throw new DiskError(`rpm's database cannot be read: ${(error as Error).message}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
