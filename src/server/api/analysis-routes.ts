import { z } from "zod";
import { withUpload } from "../http/upload";
import { cancel, getAnalysis, remove, repeat, submit } from "../queue/submit";
import { SUBMISSION } from "../queue/submission";
import type { ServerParts } from "../server-parts";
import { ANALYSIS, toAnalysis } from "./analysis-schema";
import { type App, ERROR, ERRORS, getDoer, ID, ID_PARAMS } from "./app";

const MOST_LISTED = 500;

/** The fields by which analyses are found. */
export const QUERY = z.object({
  hash: z.string().regex(/^([0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$/, "it must be an MD5, SHA-1 or SHA-256").toLowerCase().optional().describe("MD5, SHA-1 or SHA-256 of the target."), // prettier-ignore
  name: z.string().max(200).optional().describe("A part of the target's name or of the command."),
  signature: z.string().max(200).optional().describe("A part of the name or title of a signature or rule that fired."),
  technique: z.string().regex(/^[A-Za-z0-9.]{1,16}$/).toUpperCase().optional().describe('Of ATT&CK: "T1059" has "T1059.004" too.'), // prettier-ignore
  indicator: z.string().max(300).optional().describe("An address that the target reached for, or a name that was asked for."), // prettier-ignore
  text: z.string().max(300).optional().describe("Words of what the target did, in their order: of paths, command lines, addresses. Capitals do not count, and the last may be the beginning of a word."), // prettier-ignore
  judgement: z.enum(["malicious", "suspicious", "inconspicuous"]).optional(),
  machine: z.string().max(100).optional().describe("The machine that it ran on."),
  by: z.string().max(100).optional().describe("The user who asked for it."),
  state: z.enum(["waiting", "running", "finished", "failed", "cancelled", "lost"]).optional(),
  before: ID.optional().describe("Only older ones than this number: the `next` of the page before."),
});

/** Adds the routes on analyses: ask for, list, look at, end, repeat and remove them. */
export function addAnalysisRoutes(app: App, parts: ServerParts): void {
  const answer = z.object({ ids: z.array(z.number()).describe("The numbers of the analyses.") });
  app.post(
    "/api/v1/analyses",
    {
      config: { access: "submit", checksForgery: true },
      schema: {
        ...{ operationId: "submit", summary: "Ask for analyses", tags: ["analyses"] },
        description: `A form (multipart/form-data) with files as \`file\`, or JSON without any. Fields: ${Object.entries(SUBMISSION.shape).map(([name, type]) => `\`${name}\`: ${type.description ?? ""}`).join(" ")}`, // prettier-ignore
        ...{
          consumes: ["multipart/form-data", "application/json"],
          response: { ...ERRORS, 413: ERROR, 507: ERROR, 201: answer },
        },
      },
    },
    async (request, reply) => {
      const doer = getDoer(request);
      const ids = request.isMultipart()
        ? await withUpload(request, parts, ({ fields, samples }) => submit(parts, doer, fields, samples))
        : await submit(parts, doer, readJson(request.body), []);
      return reply.code(201).send({ ids });
    },
  );
  app.get(
    "/api/v1/analyses",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "list", summary: "List or search analyses, the newest first", tags: ["analyses"] },
        querystring: QUERY.extend({ limit: z.coerce.number().int().min(1).max(MOST_LISTED).default(50) }),
        response: {
          ...ERRORS,
          200: z.object({
            analyses: z.array(ANALYSIS),
            next: z.number().nullable().describe("`before` of the next page; null on the last."),
          }),
        },
      },
    },
    ({ query: { limit, ...query } }) => {
      const found = parts.search.list(query, limit);
      return { analyses: found.map(toAnalysis), next: found.length === limit ? found.at(-1)!.id : null };
    },
  );
  const one = { params: ID_PARAMS, tags: ["analyses"] };
  app.get(
    "/api/v1/analyses/:id",
    {
      config: { access: "read" },
      schema: { ...one, operationId: "show", summary: "Look at an analysis", response: { ...ERRORS, 200: ANALYSIS } },
    },
    ({ params: { id } }) => toAnalysis(getAnalysis(parts.search, id)),
  );
  app.post(
    "/api/v1/analyses/:id/cancel",
    {
      config: { access: "submit" },
      schema: {
        ...{ ...one, operationId: "cancel", summary: "End an analysis early" },
        response: { ...ERRORS, 202: z.object({ id: z.number() }) },
      },
    },
    async (request, reply) => {
      cancel(parts, getDoer(request), request.params.id);
      return reply.code(202).send({ id: request.params.id });
    },
  );
  app.post(
    "/api/v1/analyses/:id/repeat",
    {
      config: { access: "submit" },
      schema: {
        ...{ ...one, operationId: "repeat", summary: "Ask for the same analysis again" },
        response: { ...ERRORS, 201: answer },
      },
    },
    async (request, reply) => reply.code(201).send({ ids: [repeat(parts, getDoer(request), request.params.id)] }),
  );
  app.delete(
    "/api/v1/analyses/:id",
    {
      config: { access: "submit" },
      schema: {
        ...{ ...one, operationId: "remove", summary: "Remove an analysis that has ended, with its results" },
        response: { ...ERRORS, 204: z.null() },
      },
    },
    async (request, reply) => {
      remove(parts, getDoer(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
}

function readJson(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === "object" && body !== null && !Array.isArray(body) ? (body as Record<string, unknown>) : {};
}
