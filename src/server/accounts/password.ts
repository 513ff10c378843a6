import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { BadRequestError } from "../errors";

/** The cost of scrypt (RFC 7914), 32 MiB and some 0.2 s for each: what the OWASP cheat sheet on storing passwords names for this memory. */
const COST = { N: 2 ** 15, r: 8, p: 3 } as const;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const MOST_MEMORY = 64 << 20;
export const SHORTEST_PASSWORD = 10;
export const LONGEST_PASSWORD = 256;

/** Only one is computed at a time: sign-ins by the hundred must not take all memory. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Makes of a password what is stored: "scrypt$N$r$p$SALT$KEY".
 *
 * @throws BadRequestError when it is too short or too long
 */
export async function hashPassword(password: string): Promise<string> {
  if (password.length < SHORTEST_PASSWORD || password.length > LONGEST_PASSWORD)
    throw new BadRequestError(`a password has ${SHORTEST_PASSWORD} to ${LONGEST_PASSWORD} characters; choose another`);
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password, salt, COST);
  return ["scrypt", COST.N, COST.r, COST.p, salt.toString("base64"), key.toString("base64")].join("$");
}

/**
 * Returns whether a password is the one of which something was made.
 *
 * @param stored what hashPassword() made; undefined takes as long, and is never right: nobody learns which users there are
 */
export async function checkPassword(password: string, stored: string | undefined): Promise<boolean> {
  const [kind, n, r, p, salt = "", key = ""] = (stored ?? "").split("$");
  const isKnown = kind === "scrypt";
  const cost = isKnown ? { N: Number(n), r: Number(r), p: Number(p) } : COST;
  const wanted = isKnown ? Buffer.from(key, "base64") : Buffer.alloc(KEY_BYTES);
  const found = await derive(password.slice(0, LONGEST_PASSWORD + 1), Buffer.from(salt, "base64"), cost);
  return timingSafeEqual(found, wanted) && isKnown;
}

function derive(password: string, salt: Buffer, cost: { N: number; r: number; p: number }): Promise<Buffer> {
  const make = () =>
    new Promise<Buffer>((resolve, reject) =>
      scrypt(password.normalize("NFC"), salt, KEY_BYTES, { ...cost, maxmem: MOST_MEMORY }, (error, key) =>
        error === null ? resolve(key) : reject(error),
      ),
    );
  const made = last.then(make, make);
  last = made;
  return made;
}
