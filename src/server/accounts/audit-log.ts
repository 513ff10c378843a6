import type { AccountDatabase } from "./account-database";

/** The most entries that are kept. */
const MOST_ENTRIES = 200_000;
/** The time between two looks for those that are too many, in entries. */
const ROUND = 1_000;
const LONGEST_DETAIL = 500;

/** Something that somebody did, or tried. */
export interface AuditEntry {
  readonly id: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Undefined when nobody had signed in. */
  readonly user: string | undefined;
  /** The address that the request came from. */
  readonly address: string | undefined;
  /** "sign in", "submit", "cancel" ... */
  readonly action: string;
  readonly detail: string;
}

/** The log of what was changed through a server, and of sign-ins that failed. Nothing of it can be changed through the server. */
export class AuditLog {
  constructor(private readonly database: AccountDatabase) {}

  add(user: string | undefined, address: string | undefined, action: string, detail: string): void {
    const { lastInsertRowid } = this.database
      .prepare("INSERT INTO audit (time, user, address, action, detail) VALUES (?, ?, ?, ?, ?)")
      .run(new Date().toISOString(), user ?? null, address ?? null, action, detail.slice(0, LONGEST_DETAIL));
    const id = Number(lastInsertRowid);
    if (id % ROUND === 0) this.database.prepare("DELETE FROM audit WHERE id <= ?").run(id - MOST_ENTRIES);
  }

  /** Lists entries, the newest first. @param before only older ones than this number */
  list(limit: number, before = Number.MAX_SAFE_INTEGER): AuditEntry[] {
    const rows = this.database.prepare("SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?").all(before, limit);
    return (rows as (AuditEntry & { user: string | null; address: string | null })[]).map((row) => ({
      ...row,
      ...{ user: row.user ?? undefined, address: row.address ?? undefined },
    }));
  }
}
