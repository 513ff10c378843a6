import { readFileSync } from "node:fs";
import cookie from "@fastify/cookie";
import multipart from "@fastify/multipart";
import websocket from "@fastify/websocket";
import fastify, { type FastifyInstance } from "fastify";
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import { addAccountRoutes } from "./api/account-routes";
import { addAnalysisRoutes } from "./api/analysis-routes";
import type { App } from "./api/app";
import { addEventRoutes } from "./api/event-routes";
import { addHostRoutes } from "./api/host-routes";
import { addLabRoutes } from "./api/lab-routes";
import { addMachineRoutes } from "./api/machine-routes";
import { addNetworkRoutes } from "./api/network-routes";
import { addOpenApiRoute, describeApi } from "./api/openapi";
import { addProcessRoutes } from "./api/process-routes";
import { addRecordingRoutes } from "./api/recording-routes";
import { addResultRoutes } from "./api/result-routes";
import { addWebhookRoutes } from "./api/webhook-routes";
import { addCapeRoutes } from "./cape/cape-routes";
import { checkAccess, type RouteAccess } from "./http/access";
import { answerErrors } from "./http/answer-errors";
import { identifyCallers } from "./http/caller";
import { limitRequests, readForms } from "./http/request-limits";
import { addSecurityHeaders } from "./http/security-headers";
import { addLiveRoutes } from "./live/live-routes";
import { addHostsPage } from "./pages/hosts/hosts-page";
import { addPageRoutes } from "./pages/page-routes";
import type { ServerParts } from "./server-parts";
import type { ServerSettings } from "./settings";

/** Of a body that is no form with files, in bytes. */
const LARGEST_BODY = 1 << 20;
/** After so long without a byte a connection is closed, in milliseconds: packing a large analysis takes its time. */
const SILENCE_MS = 900_000;
/** Of a viewer: keys and requests, in bytes. */
const LARGEST_MESSAGE = 64 << 10;
const LONGEST_PARAMETER = 1_000;

/**
 * Makes the server's routes; it does not listen yet.
 *
 * @param routes gets each route that is added
 */
export async function createApp(parts: ServerParts, routes: RouteAccess[]): Promise<App> {
  const { settings, accounts, counts } = parts;
  const app: FastifyInstance = fastify({
    ...{
      logger: false,
      bodyLimit: LARGEST_BODY,
      connectionTimeout: SILENCE_MS,
      forceCloseConnections: "idle" as const,
    },
    routerOptions: { maxParamLength: LONGEST_PARAMETER, ignoreTrailingSlash: true },
    trustProxy: settings.isBehindProxy ? isProxy : false,
    ...readTls(settings),
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  await app.register(cookie);
  await app.register(websocket, {
    options: { maxPayload: LARGEST_MESSAGE, clientTracking: false },
    preClose: (done) => done(),
  });
  identifyCallers(app, accounts);
  await limitRequests(app, settings.requestsPerMinute);
  checkAccess(app, routes);
  addSecurityHeaders(app, settings.tls !== undefined);
  app.addHook("onResponse", async (_request, reply) => counts.countAnswer(reply.statusCode));
  await app.register(multipart);
  readForms(app);
  answerErrors(app, parts.log);
  await describeApi(app);
  await app.register(async (scope) => {
    const typed = scope.withTypeProvider<ZodTypeProvider>() as App;
    for (const add of [
      addAnalysisRoutes,
      addResultRoutes,
      addEventRoutes,
      addProcessRoutes,
      addNetworkRoutes,
      addLiveRoutes,
      addLabRoutes,
      addMachineRoutes,
      addRecordingRoutes,
      addHostRoutes,
      addAccountRoutes,
      addWebhookRoutes,
      addCapeRoutes,
      addPageRoutes,
      addHostsPage,
    ])
      // prettier-ignore
      add(typed, parts);
    addOpenApiRoute(typed);
  });
  return app as unknown as App;
}

/** A proxy is on this host: it comes from the loopback device, or by a unix socket. */
function isProxy(address: string | undefined): boolean {
  return address === undefined || address === "" || address === "::1" || /^(::ffff:)?127\./.test(address);
}

function readTls({ tls }: ServerSettings): object {
  if (tls === undefined) return {};
  return { https: { cert: readFileSync(tls.certificate), key: readFileSync(tls.key), minVersion: "TLSv1.2" } };
}
