import { timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Right } from "../accounts/roles";
import { AccessError, ServerError } from "../errors";
import { getRouteKind } from "./caller";

const CHANGING = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/** A route with the right that it needs. */
export interface RouteAccess {
  readonly method: string;
  /** Parameters begin with a colon. */
  readonly url: string;
  readonly access: Right | "open";
}

/**
 * Has each route say which right it needs, and lets only those through who have it.
 *
 * @param routes gets each route that is added
 */
export function checkAccess(app: FastifyInstance, routes: RouteAccess[]): void {
  app.addHook("onRoute", ({ config, url, method }) => {
    const access = config?.access;
    if (access === undefined) throw new ServerError(`the route ${String(method)} ${url} says not which right it needs`);
    for (const each of [method].flat()) routes.push({ method: each, url, access });
  });
  // Before the body is read: nobody sends gigabytes for nothing.
  app.addHook("preParsing", async (request) => {
    if (request.is404) return;
    const { access = "administer" } = request.routeOptions.config;
    if (CHANGING.has(request.method)) checkSite(request);
    if (access === "open") return;
    // CAPE's clients change things by GET, and never have a session.
    if (getRouteKind(request.url) === "cape" && request.caller?.by.kind === "session") request.caller = undefined;
    if (request.caller === undefined) throw new AccessError("sign in first, or send a token: Authorization: Bearer TOKEN", 401); // prettier-ignore
    if (!request.caller.rights.has(access))
      throw new AccessError(`${request.caller.user} has not the right to ${access}; an administrator can give a role or token that has it`, 403); // prettier-ignore
    if (request.ws && request.caller.by.kind === "session") checkOrigin(request);
  });
  // Before the body is validated, which leaves fields out.
  app.addHook("preValidation", async (request) => {
    const { method, is404, routeOptions } = request;
    if (is404 || !CHANGING.has(method) || routeOptions.config.checksForgery === true) return;
    const body = request.body as { readonly csrf?: unknown } | null | undefined;
    checkForgery(request, request.headers["x-csrf-token"] ?? body?.csrf);
  });
}

/**
 * Checks the word that a change by a browser's session must bring, so that no other page can have it made.
 *
 * @param word from the header x-csrf-token, or the form's field csrf
 * @throws AccessError
 */
export function checkForgery({ caller }: FastifyRequest, word: unknown): void {
  if (caller?.by.kind !== "session") return;
  const [given, wanted] = [Buffer.from(typeof word === "string" ? word : ""), Buffer.from(caller.by.csrf)];
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
  throw new AccessError("the form is of another session; load the page again", 403);
}

/** Refuses a WebSocket that a page of another site has opened: a browser sends its cookies there, and lets that page read the answers. */
function checkOrigin({ headers, host }: FastifyRequest): void {
  const { origin } = headers;
  if (origin === undefined || !URL.canParse(origin) || new URL(origin).host !== host)
    throw new AccessError("this connection was begun by another site; programs send a token", 403);
}

/** Refuses changes that a browser says another site has begun, also where nobody has signed in yet. */
function checkSite({ headers, host }: FastifyRequest): void {
  // A token is in no request that another site can have a browser make.
  if (headers.authorization !== undefined) return;
  const site = headers["sec-fetch-site"] ?? "same-origin";
  const { origin } = headers;
  const isOwn = origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
  if (!isOwn || (site !== "same-origin" && site !== "none")) throw new AccessError("this request was begun by another site", 403); // prettier-ignore
}
