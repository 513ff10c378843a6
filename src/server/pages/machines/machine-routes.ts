import { z } from "zod";
import { QuotingError } from "../../../config/errors";
import { splitQuotedWords } from "../../../config/quoted-words";
import { type App, getDoer } from "../../api/app";
import { NAME } from "../../api/lab-routes";
import { BadRequestError } from "../../errors";
import { getCaller } from "../../http/caller";
import { INQUIRY, MODULE_NAME } from "../../machines/inquiries";
import { cancelTask, investigateMachine, PREPARATION, prepareMachine, readMachine, removeState, startMachine, stopMachine } from "../../machines/machine-actions"; // prettier-ignore
import type { ServerParts } from "../../server-parts";
import { renderInquiryPage } from "./inquiry-page";
import { renderMachinePage } from "./machine-page";
import { readParameters } from "./parameter-form";

const HTML = "text/html; charset=utf-8";
const YES = z.literal("yes").optional();
const TEXT = z.preprocess((value) => (value === "" ? undefined : value), z.string().max(10_000).optional());

/** Adds the page of a machine, and the routes that its forms are sent to. */
export function addMachinePages(app: App, parts: ServerParts): void {
  addInquiryPages(app, parts);
  const config = { access: "administer" as const };
  const schema = { hide: true, params: NAME };
  const pathOf = (name: string) => `/machines/${encodeURIComponent(name)}`;
  app.get("/machines/:name", { config: { access: "read" }, schema }, async (request, reply) =>
    reply
      .type(HTML)
      .send(
        renderMachinePage(
          getCaller(request),
          await readMachine(parts, request.params.name),
          parts.inquiries.listModules(),
        ),
      ),
  );
  const restore = z.object({ restore: z.literal("no").optional() });
  app.post("/machines/:name/start", { config, schema: { ...schema, body: restore } }, async (request, reply) => {
    await startMachine(parts, getDoer(request), request.params.name, request.body.restore === undefined);
    return reply.redirect(pathOf(request.params.name), 303);
  });
  app.post("/machines/:name/stop", { config, schema }, async (request, reply) => {
    await stopMachine(parts, getDoer(request), request.params.name);
    return reply.redirect(pathOf(request.params.name), 303);
  });
  const preparation = z.object({ as: TEXT, from: TEXT, command: TEXT, timeout: z.coerce.number().int(), replace: YES, trust: YES }); // prettier-ignore
  app.post("/machines/:name/prepare", { config, schema: { ...schema, body: preparation } }, async (request, reply) => {
    const { command, replace, trust, ...texts } = request.body;
    const commands = command === undefined ? [] : [command];
    const asked = readChecked(PREPARATION, { ...texts, command: commands, replace: replace === "yes", trust: trust === "yes" }); // prettier-ignore
    await prepareMachine(parts, getDoer(request), request.params.name, asked);
    return reply.redirect(pathOf(request.params.name), 303);
  });
  app.post("/machines/:name/task/cancel", { config, schema }, async (request, reply) => {
    await cancelTask(parts, getDoer(request), request.params.name);
    return reply.redirect(pathOf(request.params.name), 303);
  });
  const state = NAME.extend({ state: z.string().max(100) });
  app.post(
    "/machines/:name/golden/:state/remove",
    { config, schema: { hide: true, params: state } },
    async (request, reply) => {
      await removeState(parts, getDoer(request), request.params.name, request.params.state);
      return reply.redirect(pathOf(request.params.name), 303);
    },
  );
}

/** Adds the page by which a machine is asked something: a form by the module that was chosen, and its answer. */
function addInquiryPages(app: App, parts: ServerParts): void {
  const { inquiries } = parts;
  const config = { access: "administer" as const };
  const chosen = z.object({ module: MODULE_NAME.default("process") });
  app.get(
    "/machines/:name/investigate",
    { config, schema: { hide: true, params: NAME, querystring: chosen } },
    async (request, reply) => {
      const { machine } = await readMachine(parts, request.params.name);
      const module = await inquiries.describe(request.query.module);
      const page = { machine: machine.name, modules: inquiries.listModules(), module };
      return reply.type(HTML).send(renderInquiryPage(getCaller(request), page));
    },
  );
  const question = z.looseObject({ module: MODULE_NAME, flags: z.string().max(4_000).default(""), timeout: z.coerce.number().int() }); // prettier-ignore
  app.post(
    "/machines/:name/investigate",
    { config, schema: { hide: true, params: NAME, body: question } },
    async (request, reply) => {
      const { name: machine } = request.params;
      const { flags, timeout, module: wanted } = request.body;
      const module = await inquiries.describe(wanted);
      const parameters = module.parameters === null ? { flags: readWords(flags) } : { parameters: readParameters(module.parameters, request.body) }; // prettier-ignore
      const asked = readChecked(INQUIRY, { module: wanted, timeout, ...parameters });
      const { text } = await investigateMachine(parts, getDoer(request), machine, asked, true);
      const page = { machine, modules: inquiries.listModules(), module, given: { ...request.body, timeout: String(timeout) }, answer: text }; // prettier-ignore
      return reply.type(HTML).send(renderInquiryPage(getCaller(request), page));
    },
  );
}

/** @throws BadRequestError that names each wrong member */
function readChecked<Value>(type: z.ZodType<Value>, given: unknown): Value {
  const read = type.safeParse(given);
  if (read.success) return read.data;
  throw new BadRequestError(read.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
}

/** Reads the words of a line as a shell does. @throws BadRequestError for a quote that is not closed */
function readWords(line: string): string[] {
  try {
    return splitQuotedWords(line);
  } catch (error) {
    throw error instanceof QuotingError ? new BadRequestError(error.message) : error;
  }
}
