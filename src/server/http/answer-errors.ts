import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { AnalysisError, ClusterError, CuckooMachineError, MachineryManagerError } from "../../lab/errors";
import { RecordingError } from "../../machine/errors";
import type { ReboxError } from "../../config/rebox-error";
import { RequestError, ServerError } from "../errors";
import { renderErrorPage } from "../pages/error-page";
import { getRouteKind } from "./caller";
import { isDiskFull } from "../../config/failure-code";

/** An error, as an answer has it. */
export interface ErrorAnswer {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Answers errors in the form of their route. What is no fault of the request is told only to the log. */
export function answerErrors(app: FastifyInstance, log: (text: string) => void): void {
  app.setErrorHandler((error, request, reply) => {
    const answer = toAnswer(error);
    if (answer.status >= 500) log(`${request.method} ${request.routeOptions.url ?? ""}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`); // prettier-ignore
    return send(answer, request, reply);
  });
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request, reply) =>
    send({ status: 404, code: "REBOX_NOT_THERE", message: "there is nothing at this address" }, request, reply),
  );
}

function toAnswer(error: unknown): ErrorAnswer {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const problems = error.validation.map(({ instancePath, message }) => `${instancePath.slice(1).replaceAll("/", ".") || "the request"}: ${message ?? "wrong"}`); // prettier-ignore
    return { status: 400, code: "REBOX_REQUEST", message: problems.join("; ") };
  }
  if (error instanceof RequestError) return { status: error.status, code: error.code, message: error.message };
  if (isDiskFull(error))
    return { status: 507, code: "REBOX_UPLOAD", message: "the disk of the lab is full; remove analyses" };
  // A lab that cannot do what is asked for says so in a sentence.
  if (
    [AnalysisError, ClusterError, CuckooMachineError, MachineryManagerError, RecordingError, ServerError].some(
      (kind) => error instanceof kind,
    )
  )
    return { status: 409, code: (error as ReboxError).code, message: (error as ReboxError).message };
  const { statusCode = 500, message = "" } = error as { statusCode?: number; message?: string };
  if (statusCode >= 400 && statusCode < 500) return { status: statusCode, code: "REBOX_REQUEST", message };
  return { status: 500, code: "REBOX_INTERNAL", message: "the server has failed at this; its log says why" };
}

function send(answer: ErrorAnswer, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, code, message } = answer;
  const kind = getRouteKind(request.url);
  if (kind === "api") return reply.code(status).type("application/json").send(JSON.stringify({ error: { code, message } })); // prettier-ignore
  if (kind === "cape") {
    // CAPE's clients read the text of a refusal out of an answer with status 200.
    const isTold = status === 400 || status === 404 || status === 409 || status === 413 || status === 507;
    const body = isTold ? { error: true, error_value: message } : { detail: message };
    return reply.code(isTold && request.is404 !== true ? 200 : status).type("application/json").send(JSON.stringify(body)); // prettier-ignore
  }
  if (status === 401 && request.method === "GET")
    return reply.redirect(`/sign-in?to=${encodeURIComponent(request.url)}`);
  return reply.code(status).type("text/html; charset=utf-8").send(renderErrorPage(answer, request.caller));
}
