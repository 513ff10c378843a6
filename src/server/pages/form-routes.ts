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
import { type App, getDoer, ID_PARAMS } from "../api/app";
import { BadRequestError } from "../errors";
import { withUpload } from "../http/upload";
import { cancel, remove, repeat, submit } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import { addWebhook, removeWebhook } from "../webhooks/webhook-actions";
import { renderAccountPage, renderUsersPage } from "./account-pages";
import { renderWebhooksPage } from "./webhook-pages";

const HTML = "text/html; charset=utf-8";

/** Adds the routes that forms of pages are sent to; each answers with the page to go to. */
export function addFormRoutes(app: App, parts: ServerParts): void {
  const submitting = { config: { access: "submit" as const } };
  app.post(
    "/submit",
    { config: { access: "submit", checksForgery: true }, schema: { hide: true } },
    async (request, reply) => {
      const ids = await withUpload(request, parts, ({ fields, samples }) =>
        submit(parts, getDoer(request), fields, samples),
      );
      return reply.redirect(ids.length === 1 ? `/analyses/${ids[0]}` : "/", 303);
    },
  );
  const schema = { hide: true, params: ID_PARAMS };
  app.post("/analyses/:id/cancel", { ...submitting, schema }, (request, reply) => {
    cancel(parts, getDoer(request), request.params.id);
    return reply.redirect(`/analyses/${request.params.id}`, 303);
  });
  app.post("/analyses/:id/repeat", { ...submitting, schema }, (request, reply) =>
    reply.redirect(`/analyses/${repeat(parts, getDoer(request), request.params.id)}`, 303),
  );
  app.post("/analyses/:id/remove", { ...submitting, schema }, (request, reply) => {
    remove(parts, getDoer(request), request.params.id);
    return reply.redirect("/", 303);
  });
  addTokenForms(app, parts);
  addWebhookForms(app, parts);
  addAdministratorForms(app, parts);
}

function addTokenForms(app: App, { accounts }: ServerParts): void {
  const reading = { config: { access: "read" as const } };
  const scopes = z.preprocess((value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]), z.array(z.enum(RIGHTS))); // prettier-ignore
  const days = z.preprocess((value) => (value === "" ? undefined : value), z.coerce.number().int().min(1).max(LONGEST_TOKEN_DAYS).optional()); // prettier-ignore
  const body = z.object({ label: z.string().min(1).max(100), scope: scopes, days });
  app.post("/tokens", { ...reading, schema: { hide: true, body } }, (request, reply) => {
    const doer = getDoer(request);
    const { label, scope, days: given } = request.body;
    const { token } = addToken(accounts, doer, label, scope, given);
    const whose = doer.caller.rights.has("administer") ? undefined : doer.caller.user;
    return reply.type(HTML).send(renderAccountPage(doer.caller, accounts.tokens.list(whose), token));
  });
  const params = z.object({ id: z.string().max(100) });
  app.post("/tokens/:id/remove", { ...reading, schema: { hide: true, params } }, (request, reply) => {
    removeToken(accounts, getDoer(request), request.params.id);
    return reply.redirect("/account", 303);
  });
}

function addWebhookForms(app: App, parts: ServerParts): void {
  const config = { access: "administer" as const };
  const body = z.object({ url: z.string().max(2_001) });
  app.post("/webhooks", { config, schema: { hide: true, body } }, (request, reply) => {
    const doer = getDoer(request);
    const show = (more: { readonly secret?: string; readonly problem?: string }) => renderWebhooksPage(doer.caller, parts.webhooks, more); // prettier-ignore
    try {
      return reply.type(HTML).send(show({ secret: addWebhook(parts, doer, request.body.url).secret }));
    } catch (error) {
      if (!(error instanceof BadRequestError)) throw error;
      return reply
        .code(400)
        .type(HTML)
        .send(show({ problem: error.message }));
    }
  });
  app.post("/webhooks/:id/remove", { config, schema: { hide: true, params: ID_PARAMS } }, (request, reply) => {
    removeWebhook(parts, getDoer(request), request.params.id);
    return reply.redirect("/webhooks", 303);
  });
}

function addAdministratorForms(app: App, { accounts, machines }: ServerParts): void {
  const config = { access: "administer" as const };
  const params = z.object({ name: z.string().max(100) });
  const user = z.object({ name: z.string().max(100), password: z.string().max(LONGEST_PASSWORD + 1), role: z.enum(ROLES) }); // prettier-ignore
  const showUsers = async (act: () => Promise<void>): Promise<string | undefined> => {
    try {
      await act();
      return undefined;
    } catch (error) {
      if (error instanceof BadRequestError) return error.message;
      throw error;
    }
  };
  app.post("/users", { config, schema: { hide: true, body: user } }, async (request, reply) => {
    const doer = getDoer(request);
    const { name, role, password } = request.body;
    const problem = await showUsers(() => addUser(accounts, doer, name, role, password));
    if (problem === undefined) return reply.redirect("/users", 303);
    return reply
      .code(400)
      .type(HTML)
      .send(renderUsersPage(doer.caller, accounts.users.list(), problem));
  });
  app.post(
    "/users/:name/role",
    { config, schema: { hide: true, params, body: z.object({ role: z.enum(ROLES) }) } },
    async (request, reply) => {
      // prettier-ignore
      const doer = getDoer(request);
      const problem = await showUsers(() => changeUser(accounts, doer, request.params.name, request.body));
      if (problem === undefined) return reply.redirect("/users", 303);
      return reply
        .code(400)
        .type(HTML)
        .send(renderUsersPage(doer.caller, accounts.users.list(), problem));
    },
  );
  app.post("/users/:name/remove", { config, schema: { hide: true, params } }, async (request, reply) => {
    const doer = getDoer(request);
    const problem = await showUsers(() => removeUser(accounts, doer, request.params.name));
    if (problem === undefined) return reply.redirect("/users", 303);
    return reply
      .code(400)
      .type(HTML)
      .send(renderUsersPage(doer.caller, accounts.users.list(), problem));
  });
  for (const action of ["enable", "disable"] as const)
    app.post(`/machines/:name/${action}`, { config, schema: { hide: true, params } }, async (request, reply) => {
      const { caller, address } = getDoer(request);
      const { name } = request.params;
      await machines.setEnabled(name, action === "enable", `taken out by ${caller.user}`);
      accounts.audit.add(caller.user, address, `${action} machine`, name);
      return reply.redirect("/machines", 303);
    });
}
