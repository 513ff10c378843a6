import { createHmac } from "node:crypto";
import { lookup } from "node:dns";
import { type ClientRequest, request as requestPlain } from "node:http";
import { request as requestEncrypted } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { getReboxVersion } from "../../config/folders";
import type { AddressCheck } from "./address-check";

/** How long an address may take to answer, in milliseconds. */
const LIMIT_MS = 15_000;
/** The beginning of a secret, as the specification "Standard Webhooks" has it: the rest is base64. */
export const SECRET_PREFIX = "whsec_";

/** A message for an address. */
export interface WebhookMessage {
  /** The same at each attempt: who gets it twice can tell by it. */
  readonly id: string;
  readonly url: string;
  readonly secret: string;
  readonly body: string;
}

/**
 * Signs a message, as the specification "Standard Webhooks" has it.
 *
 * @param timestampS seconds since 1970
 */
export function signWebhook({ id, secret, body }: WebhookMessage, timestampS: number): string {
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestampS}.${body}`).digest("base64")}`;
}

/**
 * Sends a message. Nothing is followed to another address, and nothing of the answer but its status is read.
 *
 * @returns the status of the answer
 * @throws Error when it cannot be sent, or the address may not be reached
 */
export function sendWebhook(message: WebhookMessage, check: AddressCheck, signal: AbortSignal): Promise<number> {
  const url = new URL(message.url);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !check.permits(host)) throw new Error(refusal(host));
  const timestampS = Math.floor(Date.now() / 1000);
  const send = url.protocol === "https:" ? requestEncrypted : requestPlain;
  return new Promise<number>((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
    const request: ClientRequest = send(url, {
      ...{ method: "POST", signal: limit, lookup: makeLookup(check), agent: false },
      headers: {
        ...{ "content-type": "application/json", "user-agent": `rebox/${getReboxVersion()}` },
        "content-length": Buffer.byteLength(message.body),
        ...{ "webhook-id": message.id, "webhook-timestamp": String(timestampS) },
        "webhook-signature": signWebhook(message, timestampS),
      },
    });
    request.once("response", (answer) => {
      answer.destroy();
      resolve(answer.statusCode!);
    });
    request.once("error", (error) => reject(limit.aborted && !signal.aborted ? new Error(`no answer within ${LIMIT_MS / 1000} s`) : error)); // prettier-ignore
    request.end(message.body);
  });
}

/** The check is made of the addresses that are connected to, and not before: a name may have another one the next time. */
function makeLookup(check: AddressCheck): LookupFunction {
  return (name, options, done) =>
    lookup(name, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return done(error, "", 0);
      const permitted = addresses.filter(({ address }) => check.permits(address));
      const [first] = permitted;
      if (first === undefined) return done(new Error(refusal(addresses.map(({ address }) => address).join(", "))), "", 0); // prettier-ignore
      if (options.all === true) done(null, permitted);
      else done(null, first.address, first.family);
    });
}

function refusal(address: string): string {
  return `${address} is a private address, which only --webhooks-to lets webhooks reach`;
}
