import { z } from "zod";
import { LONGEST_MS } from "../accounts/sessions";
import type { App } from "../api/app";
import { SESSION_COOKIE } from "../http/caller";
import { SIGN_INS_PER_MINUTE } from "../http/request-limits";
import type { ServerParts } from "../server-parts";
import { renderSignInPage } from "./sign-in-page";

const HTML = "text/html; charset=utf-8";
const LONGEST = 300;

/** Adds the routes by which a browser's session begins and ends. */
export function addSignInRoutes(app: App, { accounts, counts }: ServerParts): void {
  const { users, sessions, audit } = accounts;
  const open = { access: "open" as const };
  app.get(
    "/sign-in",
    {
      config: open,
      schema: {
        hide: true,
        querystring: z.object({
          to: z
            .string()
            .max(LONGEST * 10)
            .default("/"),
        }),
      },
    },
    (request, reply) => reply.type(HTML).send(renderSignInPage(cleanPlace(request.query.to))),
  );
  const body = z.object({
    ...{ name: z.string().max(LONGEST), password: z.string().max(LONGEST) },
    to: z.string().max(LONGEST * 10).default("/"), // prettier-ignore
  });
  const limit = {
    max: SIGN_INS_PER_MINUTE,
    timeWindow: 60_000,
    keyGenerator: ({ ip }: { ip: string }) => `sign-in ${ip}`,
  };
  app.post(
    "/sign-in",
    // A form that another site sends would sign in somebody else; checkAccess() refuses it. Who is signed in brings no word along.
    { config: { ...open, checksForgery: true, rateLimit: limit }, schema: { hide: true, body } },
    async (request, reply) => {
      const { name, password } = request.body;
      const to = cleanPlace(request.body.to);
      const user = await users.signIn(name, password);
      if (user === undefined) {
        counts.signInsRefused++;
        audit.add(undefined, request.ip, "sign in refused", name);
        return reply.code(401).type(HTML).send(renderSignInPage(to, "This name and password do not belong together."));
      }
      // A session that the browser has brought along is nobody's any more: each sign-in begins a new one.
      if (request.caller?.by.kind === "session") sessions.end(request.caller.by.hash);
      audit.add(user.name, request.ip, "sign in", "");
      return reply
        .setCookie(SESSION_COOKIE, sessions.begin(user.name), {
          ...{ path: "/", httpOnly: true, sameSite: "lax", maxAge: LONGEST_MS / 1000 },
          secure: request.protocol === "https",
        })
        .redirect(to, 303);
    },
  );
  app.post("/sign-out", { config: { access: "read" }, schema: { hide: true } }, (request, reply) => {
    const { caller } = request;
    if (caller?.by.kind === "session") sessions.end(caller.by.hash);
    audit.add(caller?.user, request.ip, "sign out", "");
    return reply.clearCookie(SESSION_COOKIE, { path: "/" }).redirect("/sign-in", 303);
  });
}

/** Returns a place on this server: a link must not lead to another one by way of the sign-in. */
export function cleanPlace(to: string): string {
  return /^\/(?![/\\])[^\\\p{C}]*$/u.test(to) ? to : "/";
}
