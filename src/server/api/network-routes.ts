import { z } from "zod";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { getAnalysis } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, ID_PARAMS } from "./app";

const FLOW = z.object({
  ...{ protocol: z.string(), source: z.string(), sourcePort: z.number(), destination: z.string() },
  ...{ destinationPort: z.number(), frames: z.number(), bytes: z.number().describe("Of the frames.") },
  ...{ began: z.string(), ended: z.string(), process: z.string().nullable() },
});
const NAME = z
  .object({ name: z.string(), type: z.string(), process: z.string().nullable(), began: z.string(), count: z.number() })
  .describe("A name that was asked for (DNS).");
const CAPTURE = z.object({
  file: z.string().describe("With the frames, among the files of the analysis."),
  ...{ frames: z.number(), flows: z.array(FLOW), more: z.number().describe("Frames of flows that are not listed.") },
  ...{ names: z.array(NAME), isCut: z.boolean().describe("The file ends early, or is damaged.") },
});

/** Adds the route on the conversations of an analysis. */
export function addNetworkRoutes(app: App, { labFolder, search, work }: ServerParts): void {
  app.get(
    "/api/v1/analyses/:id/network",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "network", summary: "List the conversations on the network", tags: ["results"] },
        params: ID_PARAMS,
        response: {
          ...ERRORS,
          200: z.object({
            captures: z.array(CAPTURE),
            webRequests: z.array(z.object({ method: z.string(), url: z.string(), count: z.number() })).describe("Pages that were asked for in a simulated network."), // prettier-ignore
          }),
        },
      },
    },
    async ({ params: { id } }) => {
      getAnalysis(search, id);
      const { captures, webRequests } = await work.do({ kind: "network", folder: getAnalysisFolder(labFolder, id) });
      return {
        captures: captures.map(({ file, frames, flows, more, names, isCut }) => ({
          ...{ file, frames, more, isCut },
          flows: flows.map((flow) => ({ ...flow, process: flow.process ?? null })),
          names: names.map((name) => ({ ...name, process: name.process ?? null })),
        })),
        webRequests: webRequests.map(({ method, url, count }) => ({ method, url, count })),
      };
    },
  );
}
