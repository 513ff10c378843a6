import { randomBytes, randomUUID } from "node:crypto";
import type { AccountDatabase } from "../accounts/account-database";
import { SECRET_PREFIX, type WebhookMessage } from "./send-webhook";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, secret TEXT NOT NULL, user TEXT NOT NULL, created TEXT NOT NULL, is_over INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, webhook INTEGER NOT NULL, analysis INTEGER NOT NULL, body TEXT NOT NULL, created TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_ms INTEGER, state TEXT NOT NULL, answer TEXT NOT NULL, UNIQUE (webhook, analysis)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS deliveries_next ON deliveries (next_ms) WHERE next_ms IS NOT NULL;`;

const SECRET_BYTES = 24;
/** The times between attempts, in milliseconds: an address may be away for a night. */
const PAUSES_MS = [5, 60, 300, 1_800, 7_200, 21_600, 43_200].map((seconds) => seconds * 1000);
/** "Gone": its owner wants no more. */
const GONE = 410;
/** Of each address, delivered ones and others, that are kept. */
const MOST_KEPT = 1_000;
const LONGEST_ANSWER = 300;

/** An address that is told of ends of analyses. */
export interface Webhook {
  readonly id: number;
  readonly url: string;
  /** Who added it. */
  readonly user: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** It has said that it wants no more. */
  readonly isOver: boolean;
}

/** A message for a webhook, and what has become of it. */
export interface Delivery {
  readonly id: string;
  readonly webhook: number;
  readonly analysis: number;
  readonly created: string;
  readonly attempts: number;
  /** Of the next attempt, in milliseconds since 1970; undefined when there is none. */
  readonly nextMs: number | undefined;
  readonly state: "waiting" | "delivered" | "given up";
  /** The last answer: a status, or why there was none. */
  readonly answer: string;
}

interface WebhookRow extends Omit<Webhook, "isOver"> {
  readonly is_over: number;
}

interface DeliveryRow extends Omit<Delivery, "nextMs"> {
  readonly next_ms: number | null;
}

/** The webhooks of a server and their messages, in the file with its accounts: only the server's user can read the secrets. */
export class WebhookStore {
  constructor(private readonly database: AccountDatabase) {
    database.exec(SCHEMA);
  }

  /** Adds an address. @returns its number, and the secret that its messages are signed with, which nobody is told again */
  add(url: string, user: string): { readonly id: number; readonly secret: string } {
    const secret = SECRET_PREFIX + randomBytes(SECRET_BYTES).toString("base64");
    const { lastInsertRowid } = this.database
      .prepare("INSERT INTO webhooks (url, secret, user, created, is_over) VALUES (?, ?, ?, ?, 0)")
      .run(url, secret, user, new Date().toISOString());
    return { id: Number(lastInsertRowid), secret };
  }

  list(): Webhook[] {
    const rows = this.database.prepare("SELECT id, url, user, created, is_over FROM webhooks ORDER BY id").all();
    return (rows as WebhookRow[]).map(({ is_over, ...row }) => ({ ...row, isOver: is_over === 1 }));
  }

  /** Removes an address with its messages. @returns whether there was one */
  remove(id: number): boolean {
    this.database.prepare("DELETE FROM deliveries WHERE webhook = ?").run(id);
    return this.database.prepare("DELETE FROM webhooks WHERE id = ?").run(id).changes === 1;
  }

  /** Adds a message for each address; one that there is already is not added again. @param body JSON */
  addDeliveries(analysis: number, body: string): void {
    const add = this.database.prepare("INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?, 0, ?, 'waiting', '')");
    for (const { id, isOver } of this.list())
      if (!isOver) add.run(`msg_${randomUUID()}`, id, analysis, body, new Date().toISOString(), Date.now());
  }

  /** Lists the newest messages of an address. */
  listDeliveries(webhook: number, limit: number): Delivery[] {
    const rows = this.database
      .prepare(
        "SELECT id, webhook, analysis, created, attempts, next_ms, state, answer FROM deliveries WHERE webhook = ? ORDER BY rowid DESC LIMIT ?",
      )
      .all(webhook, limit);
    return (rows as DeliveryRow[]).map(({ next_ms, ...row }) => ({ ...row, nextMs: next_ms ?? undefined }));
  }

  /** Lists messages whose time has come, the one that has waited longest first: at most one of each address. */
  listDue(limit: number): WebhookMessage[] {
    return this.database
      .prepare(
        `SELECT d.id, w.url, w.secret, d.body, min(d.next_ms) FROM deliveries d JOIN webhooks w ON w.id = d.webhook
         WHERE d.next_ms <= ? AND w.is_over = 0 GROUP BY d.webhook ORDER BY min(d.next_ms) LIMIT ?`,
      )
      .all(Date.now(), limit) as WebhookMessage[];
  }

  /**
   * Notes an attempt: the message is delivered, or waits for the next one, or is given up after the last.
   *
   * @param answer the status; or why there was none
   */
  note(id: string, answer: number | string): void {
    const row = this.database.prepare("SELECT attempts, webhook FROM deliveries WHERE id = ?").get(id);
    // It was removed with its address in the meantime.
    if (row === undefined) return;
    const { attempts, webhook } = row as { attempts: number; webhook: number };
    const isDelivered = typeof answer === "number" && answer >= 200 && answer < 300;
    const pauseMs = PAUSES_MS[attempts];
    if (answer === GONE) this.database.prepare("UPDATE webhooks SET is_over = 1 WHERE id = ?").run(webhook);
    const state = isDelivered ? "delivered" : pauseMs === undefined || answer === GONE ? "given up" : "waiting";
    const nextMs = state === "waiting" ? Date.now() + pauseMs! : null;
    this.database
      .prepare("UPDATE deliveries SET attempts = ?, next_ms = ?, state = ?, answer = ? WHERE id = ?")
      .run(attempts + 1, nextMs, state, String(answer).slice(0, LONGEST_ANSWER), id);
    if (state !== "waiting") this.#removeOld(webhook);
  }

  /** Has a message be sent again at once. @returns whether there is such a message */
  repeat(webhook: number, id: string): boolean {
    const { changes } = this.database
      .prepare("UPDATE deliveries SET next_ms = ?, attempts = 0, state = 'waiting' WHERE id = ? AND webhook = ?")
      .run(Date.now(), id, webhook);
    return changes === 1;
  }

  #removeOld(webhook: number): void {
    this.database
      .prepare(
        "DELETE FROM deliveries WHERE webhook = ? AND state <> 'waiting' AND rowid <= (SELECT max(rowid) FROM deliveries) - ?",
      )
      .run(webhook, MOST_KEPT);
  }
}
