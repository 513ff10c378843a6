import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { isDiskFull } from "../../config/failure-code";

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, created TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, label TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL,
    created TEXT NOT NULL, expires TEXT, used TEXT
  ) STRICT;
  CREATE TABLE IF NOT EXISTS sessions (
    hash TEXT PRIMARY KEY, user TEXT NOT NULL, csrf TEXT NOT NULL, created_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, user TEXT, address TEXT, action TEXT NOT NULL, detail TEXT NOT NULL
  ) STRICT;`;

/** The longest wait for another process' transaction, in milliseconds. */
const BUSY_MS = 10_000;

/** The connection to the file with a server's accounts. */
export type AccountDatabase = Database.Database;

/** Returns the folder of a lab that has what only its server reads. */
export function getServerFolder(labFolder: string): string {
  return join(labFolder, "server");
}

/** Writes a note that is nothing but useful: on a full disk it is left out, and a request that only reads is answered. */
export function tryNote(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** Opens the accounts of a lab's server, and makes their file when there is none. Only the user of this process can read it. */
export function openAccountDatabase(labFolder: string): AccountDatabase {
  const folder = getServerFolder(labFolder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const file = join(folder, "accounts.db");
  closeSync(openSync(file, "a", 0o600));
  const database = new Database(file);
  database.exec(`PRAGMA busy_timeout = ${BUSY_MS};`);
  database.exec(SCHEMA);
  return database;
}
