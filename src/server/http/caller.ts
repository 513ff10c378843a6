import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Caller, type Right, RIGHTS_OF } from "../accounts/roles";
import type { Accounts } from "../server-parts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The right that the route needs; each route has one. */
    access?: Right | "open";
    /** The route checks itself that the request is not forged: its body is read as a stream, or nobody has a session yet. */
    checksForgery?: boolean;
  }
  interface FastifyRequest {
    caller: Caller | undefined;
  }
}

export const SESSION_COOKIE = "rebox_session";

/** The kinds of routes: each has its own form of answers. */
export type RouteKind = "api" | "cape" | "page";

/** Returns the kind of the route of an address. */
export function getRouteKind(url: string): RouteKind {
  if (url.startsWith("/apiv2/") || url === "/apiv2") return "cape";
  return /^\/(api|metrics|health)(\/|\?|$)/.test(url) ? "api" : "page";
}

/** Has each request know who makes it, by a token or by a session's cookie. */
export function identifyCallers(app: FastifyInstance, accounts: Accounts): void {
  app.decorateRequest("caller", undefined);
  app.addHook("onRequest", async (request) => {
    request.caller = findCaller(request, accounts);
  });
}

/** Finds who makes a request, by what it brought along. */
export function findCaller(request: FastifyRequest, { users, tokens, sessions }: Accounts): Caller | undefined {
  // A program's token goes before a cookie: it cannot be forged by another page.
  const [, text] = /^(?:Bearer|Token) (\S{1,200})$/i.exec(request.headers.authorization ?? "") ?? [];
  if (request.headers.authorization !== undefined) {
    const token = text === undefined ? undefined : tokens.check(text);
    const user = token && users.find(token.user);
    if (token === undefined || user === undefined) return undefined;
    const rights = new Set(RIGHTS_OF[user.role].filter((right) => token.scopes.includes(right)));
    return { user: user.name, role: user.role, rights, by: { kind: "token", id: token.id } };
  }
  const secret = request.cookies[SESSION_COOKIE];
  const session = secret === undefined ? undefined : sessions.find(secret);
  const user = session && users.find(session.user);
  if (session === undefined || user === undefined) return undefined;
  const { csrf, hash } = session;
  return {
    user: user.name,
    role: user.role,
    rights: new Set(RIGHTS_OF[user.role]),
    by: { kind: "session", csrf, hash },
  };
}

/** Returns who makes a request of a route that is not open. */
export function getCaller(request: FastifyRequest): Caller {
  // The hook of checkAccess() lets nobody else through.
  return request.caller!;
}
