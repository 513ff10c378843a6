import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { type AccountDatabase, tryNote } from "./account-database";
import { RIGHTS, type Right } from "./roles";

/** In bytes. */
const ID_BYTES = 6;
const SECRET_BYTES = 32;
const FORM = /^rebox_([0-9a-f]{12})_([\w-]{43})$/;
/** The time between two notes of a token's use, in milliseconds. */
const NOTE_MS = 60_000;

/** A token of a user, without its secret. */
export interface Token {
  readonly id: string;
  readonly user: string;
  /** A name of the user's for it. */
  readonly label: string;
  readonly scopes: readonly Right[];
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly expires: string | undefined;
  /** The last use, to the minute. */
  readonly used: string | undefined;
}

interface Row {
  readonly id: string;
  readonly user: string;
  readonly label: string;
  readonly hash: string;
  readonly scopes: string;
  readonly created: string;
  readonly expires: string | null;
  readonly used: string | null;
}

/** The tokens of users. A token's secret is 256 random bits, so its SHA-256 is kept: nobody guesses it, and the file does not tell it. */
export class Tokens {
  constructor(private readonly database: AccountDatabase) {}

  /**
   * Makes a token.
   *
   * @param scopes the rights it has, as far as its user has them
   * @param expires ISO 8601, UTC; undefined for never
   * @returns its id, and the token itself, which nobody can read again
   */
  add(
    user: string,
    label: string,
    scopes: readonly Right[],
    expires: string | undefined,
  ): { readonly id: string; readonly token: string } {
    // prettier-ignore
    const id = randomBytes(ID_BYTES).toString("hex");
    const secret = randomBytes(SECRET_BYTES).toString("base64url");
    this.database
      .prepare("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, NULL)")
      .run(id, user, label, hashOf(secret), scopes.join(" "), new Date().toISOString(), expires ?? null);
    return { id, token: `rebox_${id}_${secret}` };
  }

  /** Finds the token that a text is, unless it is over. */
  check(text: string): Token | undefined {
    const [, id, secret] = FORM.exec(text) ?? [];
    if (id === undefined) return undefined;
    const row = this.database.prepare("SELECT * FROM tokens WHERE id = ?").get(id) as Row | undefined;
    const isRight = timingSafeEqual(Buffer.from(hashOf(secret!)), Buffer.from(row?.hash ?? hashOf("")));
    if (row === undefined || !isRight) return undefined;
    if (row.expires !== null && Date.parse(row.expires) <= Date.now()) return undefined;
    const now = Date.now();
    if (row.used === null || now - Date.parse(row.used) > NOTE_MS)
      tryNote(() => void this.database.prepare("UPDATE tokens SET used = ? WHERE id = ?").run(new Date(now).toISOString(), id)); // prettier-ignore
    return toToken(row);
  }

  /** Lists tokens. @param user whose; undefined for all */
  list(user?: string): Token[] {
    const rows = this.database.prepare("SELECT * FROM tokens WHERE ? IS NULL OR user = ? ORDER BY created DESC, id");
    return (rows.all(user ?? null, user ?? null) as Row[]).map(toToken);
  }

  /** Removes a token. @param user whose it must be; undefined for anyone's. @returns whether there was one */
  remove(id: string, user?: string): boolean {
    const statement = this.database.prepare("DELETE FROM tokens WHERE id = ? AND (? IS NULL OR user = ?)");
    return statement.run(id, user ?? null, user ?? null).changes === 1;
  }
}

function toToken({ id, user, label, scopes, created, expires, used }: Row): Token {
  const rights = RIGHTS.filter((right) => scopes.split(" ").includes(right));
  return { id, user, label, scopes: rights, created, expires: expires ?? undefined, used: used ?? undefined };
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
