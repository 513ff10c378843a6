import { createHash, randomBytes } from "node:crypto";
import { type AccountDatabase, tryNote } from "./account-database";

/** After so long without a request a session is over, and in any case after its longest life; in milliseconds. */
const IDLE_MS = 12 * 3_600_000;
export const LONGEST_MS = 7 * 24 * 3_600_000;
/** The time between two notes of its use. */
const NOTE_MS = 60_000;

/** A session of a browser. */
export interface Session {
  /** Of the secret in the cookie. */
  readonly hash: string;
  readonly user: string;
  /** The word that each change by a form must bring. */
  readonly csrf: string;
}

/** The sessions of browsers. The cookie has a random secret, and the file its hash. */
export class Sessions {
  constructor(private readonly database: AccountDatabase) {}

  /** Begins a session with a new secret, which no browser has had before. @returns the secret */
  begin(user: string): string {
    const secret = randomBytes(32).toString("base64url");
    const now = Date.now();
    this.database.prepare("DELETE FROM sessions WHERE created_ms < ? OR seen_ms < ?").run(now - LONGEST_MS, now - IDLE_MS); // prettier-ignore
    this.database
      .prepare("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)")
      .run(hashOf(secret), user, randomBytes(24).toString("base64url"), now, now);
    return secret;
  }

  /** Finds the session of a secret, unless it is over. */
  find(secret: string): Session | undefined {
    const hash = hashOf(secret);
    const row = this.database.prepare("SELECT * FROM sessions WHERE hash = ?").get(hash);
    if (row === undefined) return undefined;
    const { user, csrf, created_ms, seen_ms } = row as {
      user: string;
      csrf: string;
      created_ms: number;
      seen_ms: number;
    };
    const now = Date.now();
    if (now - created_ms > LONGEST_MS || now - seen_ms > IDLE_MS) return void this.end(hash);
    if (now - seen_ms > NOTE_MS)
      tryNote(() => void this.database.prepare("UPDATE sessions SET seen_ms = ? WHERE hash = ?").run(now, hash));
    return { hash, user, csrf };
  }

  end(hash: string): void {
    this.database.prepare("DELETE FROM sessions WHERE hash = ?").run(hash);
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
