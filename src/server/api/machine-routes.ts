import { z } from "zod";
import { INQUIRY, MODULE_NAME } from "../machines/inquiries";
import { cancelTask, investigateMachine, PREPARATION, prepareMachine, readMachine, removeState, startMachine, stopMachine } from "../machines/machine-actions"; // prettier-ignore
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, getDoer } from "./app";
import { MACHINE, NAME, toMachine } from "./lab-routes";

const STATE = z
  .object({
    name: z.string(),
    created: z.string(),
    ramSize: z.number().describe("In bytes."),
    changes: z.array(z.string()),
  })
  .describe("A golden state of a machine: it starts there.");
const TASK = z
  .object({
    ...{ action: z.string(), by: z.string(), began: z.string(), isRunning: z.boolean() },
    status: z.number().nullable().describe("0 when it went well; null while it runs, or when the server was gone at its end."), // prettier-ignore
    text: z.string().describe("What it has said so far; its end."),
  })
  .describe("What was done last with a machine: started, stopped or prepared.");
const ANSWER = z
  .object({
    result: z
      .object({
        foundanything: z.boolean(),
        success: z.boolean().describe("Whether the module has run to its end."),
        ...{ elements: z.unknown(), statistics: z.unknown() },
        errors: z.array(z.string()).nullable(),
      })
      .nullable()
      .describe("In MIG's format; null for an explanation."),
    text: z.string().describe("What a module explains of its parameters; empty with a result."),
  })
  .describe("The answer of a machine.");
const DESCRIPTION = z
  .object({
    name: z.string(),
    isPersistent: z.boolean().describe("It is started once in a machine, and then asked."),
    parameters: z.record(z.string(), z.unknown()).nullable().describe("A JSON Schema; null for a module that does not say."), // prettier-ignore
    help: z.string().describe("What it explains of its flags."),
  })
  .describe("A module of investigations.");
const BEGUN = { ...ERRORS, 202: z.object({ name: z.string() }) };

/** Adds the routes on one machine: its golden states, and starting, stopping and preparing it. */
export function addMachineRoutes(app: App, parts: ServerParts): void {
  const administer = { access: "administer" as const };
  const one = { params: NAME, tags: ["lab"] };
  app.get(
    "/api/v1/machines/:name",
    {
      config: { access: "read" },
      schema: {
        ...{ ...one, operationId: "machine", summary: "Look at a machine, its golden states and what is done with it" },
        response: { ...ERRORS, 200: MACHINE.extend({ goldenStates: z.array(STATE), task: TASK.nullable() }) },
      },
    },
    async ({ params: { name } }) => {
      const { machine, states, task } = await readMachine(parts, name);
      const goldenStates = states.map(({ manifest }) => ({
        ...{ name: manifest.name, created: new Date(manifest.createdMs).toISOString(), ramSize: manifest.ramSize },
        changes: [...manifest.changes],
      }));
      return { ...toMachine(machine), goldenStates, task: task === undefined ? null : { ...task, status: task.status ?? null } }; // prettier-ignore
    },
  );
  app.post(
    "/api/v1/machines/:name/start",
    {
      config: administer,
      schema: {
        ...{ ...one, operationId: "start_machine", summary: "Start a machine", response: BEGUN },
        body: z.object({ restore: z.boolean().default(true).describe("From its snapshot or golden state.") }).nullish(),
      },
    },
    async (request, reply) => {
      await startMachine(parts, getDoer(request), request.params.name, request.body?.restore ?? true);
      return reply.code(202).send({ name: request.params.name });
    },
  );
  app.post(
    "/api/v1/machines/:name/stop",
    { config: administer, schema: { ...one, operationId: "stop_machine", summary: "End a machine", response: BEGUN } },
    async (request, reply) => {
      await stopMachine(parts, getDoer(request), request.params.name);
      return reply.code(202).send({ name: request.params.name });
    },
  );
  app.post(
    "/api/v1/machines/:name/prepare",
    {
      config: administer,
      schema: {
        ...{ ...one, operationId: "prepare_machine", summary: "Boot a machine once, and freeze it when it is ready" },
        ...{ body: PREPARATION.nullish(), response: BEGUN },
      },
    },
    async (request, reply) => {
      await prepareMachine(parts, getDoer(request), request.params.name, request.body ?? PREPARATION.parse({}));
      return reply.code(202).send({ name: request.params.name });
    },
  );
  app.get(
    "/api/v1/investigations",
    {
      config: { access: "read" },
      schema: {
        ...{ tags: ["lab"], operationId: "investigations", summary: "List the modules by which machines are asked" },
        response: { ...ERRORS, 200: z.object({ modules: z.array(z.string()) }) },
      },
    },
    () => ({ modules: parts.inquiries.listModules() }),
  );
  app.get(
    "/api/v1/investigations/:module",
    {
      config: { access: "read" },
      schema: {
        ...{ tags: ["lab"], operationId: "investigation", summary: "Describe a module and its parameters" },
        ...{ params: z.object({ module: MODULE_NAME }), response: { ...ERRORS, 200: DESCRIPTION } },
      },
    },
    async ({ params: { module } }) => ({ ...(await parts.inquiries.describe(module)) }),
  );
  app.post(
    "/api/v1/machines/:name/investigate",
    {
      config: administer,
      schema: {
        ...{ ...one, operationId: "investigate", summary: "Ask a machine that runs, from outside" },
        ...{ body: INQUIRY, response: { ...ERRORS, 200: ANSWER } },
      },
    },
    async (request) => {
      const { result, text } = await investigateMachine(parts, getDoer(request), request.params.name, request.body, false); // prettier-ignore
      return { result: result === undefined ? null : { ...result, errors: result.errors && [...result.errors] }, text: result === undefined ? text : "" }; // prettier-ignore
    },
  );
  app.delete(
    "/api/v1/machines/:name/task",
    {
      config: administer,
      schema: { ...one, operationId: "cancel_task", summary: "End early what is done with a machine", response: BEGUN }, // prettier-ignore
    },
    async (request, reply) => {
      await cancelTask(parts, getDoer(request), request.params.name);
      return reply.code(202).send({ name: request.params.name });
    },
  );
  app.delete(
    "/api/v1/machines/:name/golden/:state",
    {
      config: administer,
      schema: {
        ...{ tags: ["lab"], operationId: "remove_golden_state", summary: "Remove a golden state" },
        ...{ params: NAME.extend({ state: z.string().max(100) }), response: { ...ERRORS, 204: z.null() } },
      },
    },
    async (request, reply) => {
      await removeState(parts, getDoer(request), request.params.name, request.params.state);
      return reply.code(204).send(null);
    },
  );
}
