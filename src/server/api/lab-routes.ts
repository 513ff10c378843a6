import { z } from "zod";
import type { ShownMachine } from "../machines/machine-watch";
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, getDoer } from "./app";
import { readStatistics, renderMetrics, STATISTICS } from "./statistics";

export const MACHINE = z
  .object({
    ...{ name: z.string(), machinery: z.string(), label: z.string(), platform: z.string() },
    ...{ tags: z.array(z.string()), ip: z.string().nullable() },
    state: z.string().describe('"running", "poweroff" ...; "unknown" when it cannot be asked.'),
    note: z.string().describe("Why it is not in the pool, or cannot be asked."),
    ...{ isEnabled: z.boolean(), isReserved: z.boolean(), cloneOf: z.string().nullable() },
  })
  .describe("A machine.");
export const NAME = z.object({ name: z.string().max(100) });

/** Makes the answer of a machine. */
export function toMachine(machine: ShownMachine): z.infer<typeof MACHINE> {
  return { ...machine, tags: [...machine.tags], ip: machine.ip ?? null, cloneOf: machine.cloneOf ?? null };
}

/** Adds the routes on the pool of machines, and on the server itself. */
export function addLabRoutes(app: App, parts: ServerParts): void {
  app.get(
    "/api/v1/machines",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "machines", summary: "List the machines and what they do", tags: ["lab"] },
        response: { ...ERRORS, 200: z.object({ machines: z.array(MACHINE), problems: z.array(z.string()) }) },
      },
    },
    async () => {
      const { machines, problems } = await parts.machines.list();
      return { machines: machines.map(toMachine), problems: [...problems] };
    },
  );
  for (const action of ["enable", "disable"] as const)
    app.post(
      `/api/v1/machines/:name/${action}`,
      {
        config: { access: "administer" },
        schema: {
          operationId: `${action}_machine`,
          summary: action === "enable" ? "Put a machine back into the pool" : "Take a machine out of the pool",
          ...{ tags: ["lab"], params: NAME },
          body: z.object({ reason: z.string().max(300).default("taken out through the server") }).nullish(),
          response: { ...ERRORS, 200: z.object({ name: z.string() }) },
        },
      },
      async (request) => {
        const { name } = request.params;
        const { caller, address } = getDoer(request);
        await parts.machines.setEnabled(name, action === "enable", request.body?.reason ?? "taken out through the server"); // prettier-ignore
        parts.accounts.audit.add(caller.user, address, `${action} machine`, name);
        return { name };
      },
    );
  app.get(
    "/api/v1/statistics",
    {
      config: { access: "read" },
      schema: { operationId: "statistics", summary: "Count analyses", tags: ["lab"], response: { ...ERRORS, 200: STATISTICS } }, // prettier-ignore
    },
    () => readStatistics(parts),
  );
  app.get(
    "/health",
    {
      config: { access: "open" },
      schema: {
        ...{ operationId: "health", summary: "Ask whether the server works", tags: ["server"], security: [] },
        response: { 200: z.object({ status: z.literal("ok") }) },
      },
    },
    () => {
      parts.search.countByState();
      return { status: "ok" as const };
    },
  );
  app.get(
    "/metrics",
    {
      config: { access: "read" },
      schema: { operationId: "metrics", summary: "Read measurements in the text format of Prometheus", tags: ["server"] }, // prettier-ignore
    },
    async (_request, reply) =>
      reply.type("text/plain; version=0.0.4; charset=utf-8").send(renderMetrics(parts, await parts.machines.list())),
  );
}
