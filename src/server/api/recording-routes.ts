import { z } from "zod";
import { describeRecording, type LabRecording } from "../recordings/list-recordings";
import { askAtMoment, listLabRecordings } from "../recordings/recording-actions";
import { MOMENT } from "../recordings/replays";
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, getDoer } from "./app";

/** The name of a recording in an address. */
export const RECORDING_NAME = z.object({ name: z.string().max(100).describe('"boot", or "analysis:7".') });

const RECORDING = z
  .object({
    ...{ name: z.string(), folder: z.string().describe("Relative to the lab."), analysis: z.number().nullable() },
    ...{ made: z.string(), logSize: z.number().describe("Of what came to the guest, in bytes.") },
  })
  .describe("A recording of a machine's run.");

/** Adds the routes on the lab's recordings. */
export function addRecordingRoutes(app: App, parts: ServerParts): void {
  const tags = ["recordings"];
  app.get(
    "/api/v1/recordings",
    {
      config: { access: "read" },
      schema: {
        ...{ tags, operationId: "recordings", summary: "List the recordings, the newest first" },
        response: { ...ERRORS, 200: z.object({ recordings: z.array(RECORDING) }) },
      },
    },
    () => ({ recordings: listLabRecordings(parts).map(toRecording) }),
  );
  app.get(
    "/api/v1/recordings/:name",
    {
      config: { access: "read" },
      schema: {
        ...{ tags, operationId: "recording", summary: "Look at a recording and its manifest", params: RECORDING_NAME },
        response: { ...ERRORS, 200: RECORDING.extend({ manifest: z.looseObject({}) }) },
      },
    },
    ({ params: { name } }) => {
      const { manifest, ...recording } = describeRecording(parts.labFolder, name);
      return { ...toRecording(recording), manifest: { ...manifest } };
    },
  );
  app.post(
    "/api/v1/recordings/:name/ask",
    {
      config: { access: "administer" },
      schema: {
        ...{ tags, operationId: "ask_recording", summary: "Replay a recording up to a moment, and ask there" },
        ...{ params: RECORDING_NAME, body: MOMENT },
        response: { ...ERRORS, 200: z.object({ text: z.string().describe("The answers of the shell, for people.") }) },
      },
    },
    async (request) => ({ text: await askAtMoment(parts, getDoer(request), request.params.name, request.body) }),
  );
}

function toRecording({ analysis, ...recording }: LabRecording): z.infer<typeof RECORDING> {
  return { ...recording, analysis: analysis ?? null };
}
