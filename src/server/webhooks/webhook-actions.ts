import { BadRequestError, NotThereError } from "../errors";
import type { Doer } from "../queue/submit";
import type { ServerParts } from "../server-parts";

const MOST_WEBHOOKS = 50;
const LONGEST_URL = 2_000;

/** Adds an address that is told of ends of analyses. @returns its number and its secret @throws BadRequestError */
export function addWebhook(
  { webhooks, accounts, addresses }: ServerParts,
  { caller, address }: Doer,
  text: string,
): { readonly id: number; readonly secret: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || text.length > LONGEST_URL)
    throw new BadRequestError("a webhook needs an address of http or https");
  if (url.username !== "" || url.password !== "") throw new BadRequestError("leave name and password out of the address: messages are signed"); // prettier-ignore
  const host = url.hostname.replace(/^\[|\]$/g, "");
  // A name is checked each time that it is connected to; here it is only told early.
  if (/^[\d.]+$|:/.test(host) && !addresses.permits(host)) throw new BadRequestError(`${host} is a private address, which only --webhooks-to of the server lets webhooks reach`); // prettier-ignore
  if (webhooks.list().length >= MOST_WEBHOOKS) throw new BadRequestError(`there are ${MOST_WEBHOOKS} webhooks already; remove one`); // prettier-ignore
  const made = webhooks.add(url.href, caller.user);
  accounts.audit.add(caller.user, address, "add webhook", `${made.id}: ${url.href}`);
  return made;
}

/** Removes an address with its messages. @throws NotThereError */
export function removeWebhook({ webhooks, accounts }: ServerParts, { caller, address }: Doer, id: number): void {
  if (!webhooks.remove(id)) throw new NotThereError(`there is no webhook ${id}`);
  accounts.audit.add(caller.user, address, "remove webhook", String(id));
}
