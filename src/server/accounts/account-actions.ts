import type { Accounts } from "../server-parts";
import type { Doer } from "../queue/submit";
import { BadRequestError, NotThereError, ServerError } from "../errors";
import { type Right, type Role, RIGHTS_OF } from "./roles";

/** In days. */
export const LONGEST_TOKEN_DAYS = 3_650;
const DAY_MS = 86_400_000;

/** Adds a user. @throws BadRequestError */
export async function addUser(
  accounts: Accounts,
  { caller, address }: Doer,
  name: string,
  role: Role,
  password: string,
): Promise<void> {
  // prettier-ignore
  await asRequest(() => accounts.users.add(name, role, password));
  accounts.audit.add(caller.user, address, "add user", `${name}, ${role}`);
}

/** Changes a user's role or password. @throws BadRequestError, NotThereError */
export async function changeUser(
  accounts: Accounts,
  { caller, address }: Doer,
  name: string,
  { role, password }: { readonly role?: Role | undefined; readonly password?: string | undefined },
): Promise<void> {
  if (accounts.users.find(name) === undefined) throw new NotThereError(`there is no user ${name}`);
  if (role !== undefined) await asRequest(() => accounts.users.setRole(name, role));
  if (password !== undefined) await asRequest(() => accounts.users.setPassword(name, password));
  const what = [role, password === undefined ? undefined : "a new password"].filter(Boolean).join(", ");
  accounts.audit.add(caller.user, address, "change user", `${name}: ${what}`);
}

/** Removes a user, with sessions and tokens. @throws BadRequestError, NotThereError */
export async function removeUser(accounts: Accounts, { caller, address }: Doer, name: string): Promise<void> {
  if (accounts.users.find(name) === undefined) throw new NotThereError(`there is no user ${name}`);
  await asRequest(() => accounts.users.remove(name));
  accounts.audit.add(caller.user, address, "remove user", name);
}

/**
 * Makes a token for the caller.
 *
 * @param days until it is over; undefined for never
 * @returns the token, which nobody can read again
 * @throws BadRequestError for a right that the caller has not
 */
export function addToken(
  accounts: Accounts,
  { caller, address }: Doer,
  label: string,
  scopes: readonly Right[],
  days: number | undefined,
): { readonly id: string; readonly token: string } {
  // By the caller's own rights: a token makes none that is stronger than itself.
  const missing = scopes.filter((scope) => !caller.rights.has(scope));
  if (missing.length > 0) throw new BadRequestError(`you have not the right to ${missing.join(", ")}; leave it out of the token`); // prettier-ignore
  if (scopes.length === 0) throw new BadRequestError(`a token needs a right: ${RIGHTS_OF[caller.role].join(", ")}`);
  const expires = days === undefined ? undefined : new Date(Date.now() + days * DAY_MS).toISOString();
  const made = accounts.tokens.add(caller.user, label, scopes, expires);
  accounts.audit.add(caller.user, address, "add token", `${made.id}, ${scopes.join(" ")}: ${label}`);
  return made;
}

/** Removes a token of the caller, or for an administrator anyone's. @throws NotThereError */
export function removeToken(accounts: Accounts, { caller, address }: Doer, id: string): void {
  const whose = caller.rights.has("administer") ? undefined : caller.user;
  if (!accounts.tokens.remove(id, whose)) throw new NotThereError(`there is no token ${id}`);
  accounts.audit.add(caller.user, address, "remove token", id);
}

async function asRequest(act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    throw error instanceof ServerError ? new BadRequestError(error.message) : error;
  }
}
