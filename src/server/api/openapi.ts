import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform } from "fastify-type-provider-zod";
import { z } from "zod";
import { getReboxVersion } from "../../config/folders";
import { getRouteKind } from "../http/caller";
import { type App, ERROR, ERRORS } from "./app";

/** The answers of routes that send files and streams, and so say nothing of them: the document has them all the same. */
const BYTES = {
  200: { description: "What was asked for, in its own type.", content: { "*/*": { schema: {} } } },
  ...Object.fromEntries(Object.keys(ERRORS).map((status) => [status, z.toJSONSchema(ERROR, { target: "draft-2020-12" })])), // prettier-ignore
};

/** Has an OpenAPI document be made of the routes of the API that are added from now on. Pages, and the routes of CAPE's clients, are left out. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "rebox",
        version: getReboxVersion(),
        description: "Analyses of files in machines of a lab: docs/reference/server-api.md explains it.",
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transform: (route) => {
      const made = jsonSchemaTransform(route as Parameters<typeof jsonSchemaTransform>[0]);
      const isShown = getRouteKind(route.url) === "api";
      const response = made.schema?.response ?? BYTES;
      return { ...made, schema: { ...made.schema, ...(isShown ? { response } : { hide: true }) } };
    },
  });
}

/** Adds the route of the OpenAPI document. */
export function addOpenApiRoute(app: App): void {
  app.get("/api/v1/openapi.json", { config: { access: "read" }, schema: { hide: true } }, () => app.swagger());
}
