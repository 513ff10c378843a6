import { parse } from "node:querystring";
import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance } from "fastify";
import { BusyError } from "../errors";

/** The most fields of a form. */
const MOST_FIELDS = 200;
/** Sign-ins from an address in a minute. */
export const SIGN_INS_PER_MINUTE = 10;

/** Limits how often a caller may ask; who is not known is counted by address. */
export async function limitRequests(app: FastifyInstance, requestsPerMinute: number): Promise<void> {
  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    keyGenerator: ({ caller, ip }) => (caller === undefined ? `address ${ip}` : `user ${caller.user}`),
    // CAPE's clients look for the number of seconds in the text.
    errorResponseBuilder: (_request, { ttl }) =>
      new BusyError(`too many requests; more are available in ${Math.ceil(ttl / 1000)} seconds`),
  });
}

/** Has forms be read, beside JSON: a field that is there more than once is a list. */
export function readForms(app: FastifyInstance): void {
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) => {
    done(null, { ...parse(String(body), "&", "=", { maxKeys: MOST_FIELDS }) });
  });
}
