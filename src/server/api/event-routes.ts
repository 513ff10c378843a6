import { z } from "zod";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { getAnalysis, getEndedFolder } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, ID, ID_PARAMS } from "./app";

const MOST_EVENTS = 1_000;

/** The events that are looked for. */
export const FILTER = z.object({
  type: z.string().max(100).optional().describe('Their type, such as "file.written"; "file." for all that begin so.'),
  pid: z.coerce.number().int().min(0).max(4_194_304).optional(),
  text: z.string().max(500).optional().describe("A text in them, in its own case."),
});

const EVENT = z.looseObject({ time: z.string(), type: z.string() }).describe("An event, with its own facts.");

/** Adds the routes on the events of analyses, and their comparison. */
export function addEventRoutes(app: App, parts: ServerParts): void {
  app.get(
    "/api/v1/analyses/:id/events",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "events", summary: "Read events in their order, filtered, page by page", tags: ["results"] },
        params: ID_PARAMS,
        querystring: FILTER.extend({
          after: z.coerce.number().int().min(0).default(0).describe("0, or the `next` of the page before."),
          limit: z.coerce.number().int().min(1).max(MOST_EVENTS).default(100),
        }),
        response: {
          ...ERRORS,
          200: z.object({
            events: z.array(EVENT),
            next: z.number().nullable().describe("`after` of the next page; null when there are no more so far."),
          }),
        },
      },
    },
    async ({ params: { id }, query: { after, limit, ...filter } }) => {
      getAnalysis(parts.search, id);
      const folder = getAnalysisFolder(parts.labFolder, id);
      const page = await parts.work.do({ kind: "events", folder, filter, after, limit });
      return { events: [...page.events], next: page.next ?? null };
    },
  );
  app.get(
    "/api/v1/analyses/:id/events/stream",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "stream", summary: "Receive events as they come", tags: ["results"] },
        description:
          "Server-sent events: `event` has an event, `phase` a phase that begins, `end` the end of the analysis. A stream that was cut off goes on behind the header Last-Event-ID; when the analysis has ended in the meantime, its events have got their final order: `restart` says so, and all of them follow.",
        ...{ params: ID_PARAMS, querystring: FILTER },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      getAnalysis(parts.search, id);
      reply.hijack();
      reply.raw.writeHead(200, {
        ...{ "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" },
        ...{ "x-content-type-options": "nosniff", "x-accel-buffering": "no" },
      });
      const last = request.headers["last-event-id"];
      await parts.streams
        .stream(id, request.query, typeof last === "string" ? last : undefined, reply.raw)
        .catch((error: unknown) => {
          reply.raw.end(`event: error\ndata: ${JSON.stringify({ message: error instanceof Error ? error.message : "" })}\n\n`); // prettier-ignore
        });
    },
  );
  const counted = z.object({ type: z.string(), process: z.string(), facts: z.string(), count: z.number() });
  const side = z.object({
    ...{ id: z.number(), title: z.string(), outcome: z.string().optional(), score: z.number().optional() },
    only: z.array(counted).describe("Acts that the other analysis does not have."),
    findings: z.array(z.string()).describe("Signatures and rules that have fired in this analysis only."),
  });
  app.get(
    "/api/v1/compare",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "compare", summary: "Tell what one target did and another did not", tags: ["results"] },
        querystring: z.object({ one: ID, other: ID }),
        response: {
          ...ERRORS,
          200: z.object({ analyses: z.array(side), both: z.number().describe("How many acts both have.") }),
        },
      },
    },
    async ({ query: { one, other } }) => {
      const folders = [getEndedFolder(parts, one), getEndedFolder(parts, other)] as const;
      const { analyses, both } = await parts.work.do({ kind: "compare", folders });
      return {
        both,
        analyses: analyses.map((each) => ({ ...each, only: [...each.only], findings: [...each.findings] })),
      };
    },
  );
}
