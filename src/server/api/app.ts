import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { getCaller } from "../http/caller";
import type { Doer } from "../queue/submit";

/** The server's routes: what a request has, and what its answer has, are zod schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** The number of an analysis in an address. */
export const ID = z.coerce.number().int().min(1).max(999_999_999).describe("The number of an analysis.");
export const ID_PARAMS = z.object({ id: ID });

/** An error. */
export const ERROR = z
  .object({ error: z.object({ code: z.string(), message: z.string() }) })
  .describe("An error: its code stays the same from version to version.");

/** The errors that most routes may answer with. */
export const ERRORS = { 400: ERROR, 401: ERROR, 403: ERROR, 404: ERROR, 409: ERROR, 429: ERROR } as const;

/** Returns who does what a request asks for. */
export function getDoer(request: FastifyRequest): Doer {
  return { caller: getCaller(request), address: request.ip };
}
