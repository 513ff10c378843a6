import { z } from "zod";
import {
  addToken,
  addUser,
  changeUser,
  LONGEST_TOKEN_DAYS,
  removeToken,
  removeUser,
} from "../accounts/account-actions";
import { LONGEST_PASSWORD } from "../accounts/password";
import { RIGHTS, ROLES } from "../accounts/roles";
import type { Token } from "../accounts/tokens";
import { getCaller } from "../http/caller";
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, getDoer } from "./app";

const USER = z.object({ name: z.string(), role: z.enum(ROLES), created: z.string() });
const TOKEN = z.object({
  ...{ id: z.string(), user: z.string(), label: z.string(), scopes: z.array(z.enum(RIGHTS)), created: z.string() },
  expires: z.string().nullable(),
  used: z.string().nullable().describe("The last use, to the minute."),
});
const NAME = z.object({ name: z.string().max(100) });
const PASSWORD = z.string().max(LONGEST_PASSWORD + 1);

/** Adds the routes on users, tokens and the audit log. */
export function addAccountRoutes(app: App, parts: ServerParts): void {
  const { accounts } = parts;
  const describe = (operationId: string, summary: string) => ({ operationId, summary, tags: ["accounts"] });
  const none = { ...ERRORS, 204: z.null() };
  app.get(
    "/api/v1/me",
    {
      config: { access: "read" },
      schema: {
        ...describe("me", "Ask who you are"),
        response: { ...ERRORS, 200: z.object({ name: z.string(), role: z.enum(ROLES), rights: z.array(z.enum(RIGHTS)) }) }, // prettier-ignore
      },
    },
    (request) => {
      const { user, role, rights } = getCaller(request);
      return { name: user, role, rights: [...rights] };
    },
  );
  app.get(
    "/api/v1/users",
    {
      config: { access: "administer" },
      schema: {
        ...describe("users", "List the users"),
        response: { ...ERRORS, 200: z.object({ users: z.array(USER) }) },
      },
    },
    () => ({ users: accounts.users.list() }),
  );
  app.post(
    "/api/v1/users",
    {
      config: { access: "administer" },
      schema: {
        ...describe("add_user", "Add a user"),
        body: z.object({ name: z.string(), role: z.enum(ROLES), password: PASSWORD }),
        response: { ...ERRORS, 201: z.object({ name: z.string() }) },
      },
    },
    async (request, reply) => {
      const { name, role, password } = request.body;
      await addUser(accounts, getDoer(request), name, role, password);
      return reply.code(201).send({ name });
    },
  );
  app.patch(
    "/api/v1/users/:name",
    {
      config: { access: "administer" },
      schema: {
        ...describe("change_user", "Change a user's role or password"),
        ...{ params: NAME, body: z.object({ role: z.enum(ROLES).optional(), password: PASSWORD.optional() }), response: none }, // prettier-ignore
      },
    },
    async (request, reply) => {
      await changeUser(accounts, getDoer(request), request.params.name, request.body);
      return reply.code(204).send(null);
    },
  );
  app.delete(
    "/api/v1/users/:name",
    {
      config: { access: "administer" },
      schema: { ...describe("remove_user", "Remove a user, with all tokens"), params: NAME, response: none },
    },
    async (request, reply) => {
      await removeUser(accounts, getDoer(request), request.params.name);
      return reply.code(204).send(null);
    },
  );
  app.get(
    "/api/v1/tokens",
    {
      config: { access: "read" },
      schema: {
        ...describe("tokens", "List your tokens; for an administrator all"),
        response: { ...ERRORS, 200: z.object({ tokens: z.array(TOKEN) }) },
      },
    },
    (request) => {
      const { user, rights } = getCaller(request);
      return { tokens: accounts.tokens.list(rights.has("administer") ? undefined : user).map(toAnswer) };
    },
  );
  app.post(
    "/api/v1/tokens",
    {
      config: { access: "read" },
      schema: {
        ...describe("add_token", "Make a token for yourself"),
        body: z.object({
          label: z.string().min(1).max(100),
          scopes: z.array(z.enum(RIGHTS)).min(1),
          days: z.number().int().min(1).max(LONGEST_TOKEN_DAYS).optional().describe("Without it, it is never over."),
        }),
        response: { ...ERRORS, 201: z.object({ id: z.string(), token: z.string().describe("Nobody can read it again.") }) }, // prettier-ignore
      },
    },
    async (request, reply) => {
      const { label, scopes, days } = request.body;
      return reply.code(201).send(addToken(accounts, getDoer(request), label, scopes, days));
    },
  );
  app.delete(
    "/api/v1/tokens/:id",
    {
      config: { access: "read" },
      schema: { ...describe("remove_token", "Remove a token"), params: z.object({ id: z.string().max(100) }), response: none }, // prettier-ignore
    },
    async (request, reply) => {
      removeToken(accounts, getDoer(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
  const entry = z.object({ id: z.number(), time: z.string(), user: z.string().nullable(), address: z.string().nullable(), action: z.string(), detail: z.string() }); // prettier-ignore
  app.get(
    "/api/v1/audit",
    {
      config: { access: "administer" },
      schema: {
        ...describe("audit", "Read the audit log, the newest first"),
        querystring: z.object({
          limit: z.coerce.number().int().min(1).max(1000).default(100),
          before: z.coerce.number().int().min(1).optional(),
        }),
        response: { ...ERRORS, 200: z.object({ entries: z.array(entry) }) },
      },
    },
    ({ query: { limit, before } }) => {
      const entries = accounts.audit.list(limit, before);
      return { entries: entries.map((each) => ({ ...each, user: each.user ?? null, address: each.address ?? null })) };
    },
  );
}

function toAnswer(token: Token): z.infer<typeof TOKEN> {
  return { ...token, scopes: [...token.scopes], expires: token.expires ?? null, used: token.used ?? null };
}
