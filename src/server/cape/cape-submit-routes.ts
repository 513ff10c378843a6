import type { FastifyRequest } from "fastify";
import { type App, getDoer } from "../api/app";
import { RequestError } from "../errors";
import { type Upload, withUpload } from "../http/upload";
import { submit } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import { isYes, readCapeForm } from "./cape-form";
import { refuse } from "./cape-routes";

/** The text that IntelOwl compares with, to take the analysis that there is. */
const NOT_UNIQUE = "Not unique, as unique option set on submit or in conf/web.conf";
const NO_URLS = "rebox analyses files and commands, and fetches no addresses; send the file";

/** Adds the routes by which CAPE's clients hand in files. */
export function addCapeSubmitRoutes(app: App, parts: ServerParts): void {
  const submitting = { access: "submit" as const };
  app.post("/apiv2/tasks/create/file", { config: { ...submitting, checksForgery: true } }, (request) =>
    withUpload(request, parts, (upload) => submitForm(parts, request, upload)),
  );
  app.post("/apiv2/tasks/create/url", { config: { ...submitting, checksForgery: true } }, () => refuse(NO_URLS, { errors: [] })); // prettier-ignore
  app.post("/apiv2/tasks/create/static", { config: { ...submitting, checksForgery: true } }, () =>
    refuse("Static extraction API is Disabled", { errors: [] }),
  );
}

async function submitForm(parts: ServerParts, request: FastifyRequest, { fields, samples }: Upload) {
  const { machines, search, settings } = parts;
  const form = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : value])); // prettier-ignore
  const [sample] = samples;
  if (sample === undefined) return refuse("No file was submitted", { errors: [] });
  const fail = (error: unknown) => refuse("Error adding task to database", { errors: [{ [sample.name]: error }] });
  if (isYes(form.pcap)) return fail({ error: "rebox analyses no captures of frames" });
  if (isYes(form.unique) && search.list({ hash: sample.sha256 }, 1).length > 0) return fail(NOT_UNIQUE);
  try {
    const given = readCapeForm(form, (await machines.list()).machines);
    const ids = await submit(parts, getDoer(request), given, isYes(form.multifile) ? samples : [sample], form);
    const base = "host" in settings.listen || settings.isBehindProxy ? `${request.protocol}://${request.host}` : "";
    return {
      ...{ error: false, errors: [], url: ids.map((id) => `${base}/analyses/${id}`) },
      data: { task_ids: ids, message: `Task ID${ids.length === 1 ? "" : "s"} ${ids.join(", ")} has been submitted` },
    };
  } catch (error) {
    if (error instanceof RequestError) return fail({ error: error.message });
    throw error;
  }
}
