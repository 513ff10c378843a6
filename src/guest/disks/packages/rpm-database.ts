import Database from "libsql";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskError } from "../../errors";
import type { GuestPackage } from "./guest-package";

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

/** The tags of rpm's headers (lib/rpmtag.h). */
const TAG_NAME = 1000;
const TAG_VERSION = 1001;
const TAG_RELEASE = 1002;
const TAG_EPOCH = 1003;
const TAG_ARCH = 1022;
const TYPE_INT32 = 4;
const TYPE_STRING = 6;
const ENTRY_SIZE = 16;
const MOST_ENTRIES = 65536;
const LONGEST_TEXT = 4096;

/**
 * Reads the header of an installed package, as rpm's database holds it: how many entries and how many bytes, the entries
 * (tag, type, offset, count), and the bytes that they are about; all of it big-endian (rpm's docs/manual/hregions.md).
 *
 * @returns undefined when it is damaged
 */
function parseRpmHeader(blob: Buffer): GuestPackage | undefined {
  if (blob.length < 8) return undefined;
  const [count, size] = [blob.readUInt32BE(0), blob.readUInt32BE(4)];
  const start = 8 + count * ENTRY_SIZE;
  if (count > MOST_ENTRIES || start + size > blob.length) return undefined;
  const values = new Map<number, string>();
  for (let at = 8; at < start; at += ENTRY_SIZE) {
    const [tag, type, offset] = [blob.readUInt32BE(at), blob.readUInt32BE(at + 4), blob.readUInt32BE(at + 8)];
    const place = start + offset;
    if (type === TYPE_INT32 && place + 4 <= start + size) values.set(tag, String(blob.readUInt32BE(place)));
    if (type !== TYPE_STRING || place >= start + size) continue;
    const end = blob.indexOf(0, place);
    if (end >= 0 && end - place <= LONGEST_TEXT) values.set(tag, blob.toString("utf8", place, end));
  }
  const [name, version, release] = [TAG_NAME, TAG_VERSION, TAG_RELEASE].map((tag) => values.get(tag));
  if (name === undefined || version === undefined) return undefined;
  const epoch = values.get(TAG_EPOCH);
  const prefix = epoch === undefined || epoch === "0" ? "" : `${epoch}:`;
  const suffix = release === undefined ? "" : `-${release}`;
  return { name, version: prefix + version + suffix, type: "rpm", arch: values.get(TAG_ARCH) ?? "" };
}
