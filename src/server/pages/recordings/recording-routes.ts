import { z } from "zod";
import { type App, getDoer } from "../../api/app";
import { RECORDING_NAME } from "../../api/recording-routes";
import { BadRequestError } from "../../errors";
import { getCaller } from "../../http/caller";
import { describeRecording } from "../../recordings/list-recordings";
import { askAtMoment, listLabRecordings } from "../../recordings/recording-actions";
import { MOMENT } from "../../recordings/replays";
import type { ServerParts } from "../../server-parts";
import { renderRecordingPage, renderRecordingsPage } from "./recording-pages";

const HTML = "text/html; charset=utf-8";
const COUNT = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Adds the pages of recordings. */
export function addRecordingPages(app: App, parts: ServerParts): void {
  const config = { access: "read" as const };
  app.get("/recordings", { config, schema: { hide: true } }, (request, reply) =>
    reply.type(HTML).send(renderRecordingsPage(getCaller(request), listLabRecordings(parts))),
  );
  const moment = z.object({ at: COUNT.optional() });
  app.get(
    "/recordings/:name",
    { config, schema: { hide: true, params: RECORDING_NAME, querystring: moment } },
    (request, reply) => {
      const recording = describeRecording(parts.labFolder, request.params.name);
      const { at } = request.query;
      const asked = at === undefined ? undefined : { at, timeout: 300, questions: ["place", "processes"] };
      return reply.type(HTML).send(renderRecordingPage(getCaller(request), recording, asked));
    },
  );
  const body = z.object({
    ...{ at: COUNT, timeout: z.coerce.number().int() },
    pid: z.preprocess((value) => (value === "" ? undefined : value), z.coerce.number().int().optional()),
    questions: z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), z.array(z.string()).default([])), // prettier-ignore
  });
  app.post(
    "/recordings/:name/ask",
    { config: { access: "administer" }, schema: { hide: true, params: RECORDING_NAME, body } },
    async (request, reply) => {
      const { name } = request.params;
      const parsed = MOMENT.safeParse(request.body);
      if (!parsed.success) throw new BadRequestError(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")); // prettier-ignore
      const answer = await askAtMoment(parts, getDoer(request), name, parsed.data);
      const recording = describeRecording(parts.labFolder, name);
      return reply.type(HTML).send(renderRecordingPage(getCaller(request), recording, parsed.data, answer));
    },
  );
}
