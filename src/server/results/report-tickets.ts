import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** In milliseconds. */
const LIFE_MS = 12 * 3_600_000;

/**
 * Tickets for the files of one report. A browser shows a report in a frame without any rights: it has no origin, so its links bring
 * no cookie, and the ticket is in their address instead.
 */
export class ReportTickets {
  readonly #key = randomBytes(32);

  /** Makes a ticket. @param id of the analysis */
  make(id: number): string {
    const expires = Date.now() + LIFE_MS;
    return `${expires.toString(36)}.${this.#sign(id, expires).toString("base64url")}`;
  }

  /** Returns whether a ticket is for this report, and not over. */
  check(id: number, ticket: string): boolean {
    const [, time, signature] = /^([0-9a-z]{1,12})\.([\w-]{43})$/.exec(ticket) ?? [];
    if (time === undefined) return false;
    const expires = parseInt(time, 36);
    const given = Buffer.from(signature!, "base64url");
    const wanted = this.#sign(id, expires);
    return given.length === wanted.length && timingSafeEqual(given, wanted) && expires > Date.now();
  }

  #sign(id: number, expires: number): Buffer {
    return createHmac("sha256", this.#key).update(`${id} ${expires}`).digest();
  }
}
