import { z } from "zod";
import { NotThereError } from "../errors";
import type { ServerParts } from "../server-parts";
import { addWebhook, removeWebhook } from "../webhooks/webhook-actions";
import { type App, ERRORS, getDoer, ID_PARAMS } from "./app";

const MOST_LISTED = 100;

const WEBHOOK = z
  .object({
    ...{ id: z.number(), url: z.string(), user: z.string().describe("Who added it."), created: z.string() },
    isOver: z.boolean().describe("It has answered 410, and is told nothing more."),
  })
  .describe("An address that is told of ends of analyses.");

const DELIVERY = z
  .object({
    ...{ id: z.string(), analysis: z.number(), created: z.string(), attempts: z.number() },
    state: z.enum(["waiting", "delivered", "given up"]),
    next: z.string().nullable().describe("The time of the next attempt."),
    answer: z.string().describe("The last answer: a status, or why there was none."),
  })
  .describe("A message for a webhook.");

/** Adds the routes on webhooks. */
export function addWebhookRoutes(app: App, parts: ServerParts): void {
  const config = { access: "administer" as const };
  const { webhooks } = parts;
  const tags = ["webhooks"];
  app.get(
    "/api/v1/webhooks",
    {
      config,
      schema: { tags, operationId: "webhooks", summary: "List the webhooks", response: { ...ERRORS, 200: z.object({ webhooks: z.array(WEBHOOK) }) } }, // prettier-ignore
    },
    () => ({ webhooks: webhooks.list() }),
  );
  app.post(
    "/api/v1/webhooks",
    {
      config,
      schema: {
        ...{ tags, operationId: "add_webhook", summary: "Add an address that is told of ends of analyses" },
        body: z.object({ url: z.string().max(2_000) }),
        response: { ...ERRORS, 201: z.object({ id: z.number(), secret: z.string().describe("Messages are signed with it; nobody can read it again.") }) }, // prettier-ignore
      },
    },
    async (request, reply) => reply.code(201).send(addWebhook(parts, getDoer(request), request.body.url)),
  );
  app.delete(
    "/api/v1/webhooks/:id",
    {
      config,
      schema: { tags, operationId: "remove_webhook", summary: "Remove a webhook", params: ID_PARAMS, response: { ...ERRORS, 204: z.null() } }, // prettier-ignore
    },
    async (request, reply) => {
      removeWebhook(parts, getDoer(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
  app.get(
    "/api/v1/webhooks/:id/deliveries",
    {
      config,
      schema: {
        ...{ tags, operationId: "deliveries", summary: "List the newest messages of a webhook", params: ID_PARAMS },
        response: { ...ERRORS, 200: z.object({ deliveries: z.array(DELIVERY) }) },
      },
    },
    ({ params: { id } }) => {
      checkThere(parts, id);
      const deliveries = webhooks.listDeliveries(id, MOST_LISTED);
      return { deliveries: deliveries.map(({ nextMs, ...each }) => ({ ...each, next: nextMs === undefined ? null : new Date(nextMs).toISOString() })) }; // prettier-ignore
    },
  );
  app.post(
    "/api/v1/webhooks/:id/deliveries/:delivery/repeat",
    {
      config,
      schema: {
        ...{ tags, operationId: "repeat_delivery", summary: "Send a message again" },
        params: ID_PARAMS.extend({ delivery: z.string().max(100) }),
        response: { ...ERRORS, 202: z.object({ id: z.string() }) },
      },
    },
    async ({ params: { id, delivery } }, reply) => {
      if (!webhooks.repeat(id, delivery)) throw new NotThereError(`webhook ${id} has no message ${delivery}`);
      return reply.code(202).send({ id: delivery });
    },
  );
}

function checkThere({ webhooks }: ServerParts, id: number): void {
  if (!webhooks.list().some((each) => each.id === id)) throw new NotThereError(`there is no webhook ${id}`);
}
