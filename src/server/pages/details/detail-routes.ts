import { z } from "zod";
import { getAnalysisFolder } from "../../../lab/analysis/analysis-places";
import { findSummary } from "../../../lab/analysis/report/report-summary";
import { type App, ID, ID_PARAMS } from "../../api/app";
import { NotThereError } from "../../errors";
import { getCaller } from "../../http/caller";
import { getAnalysis } from "../../queue/submit";
import { lookIntoFile } from "../../results/look-file";
import { getResultFile } from "../../results/result-files";
import type { ServerParts } from "../../server-parts";
import { renderLookPage } from "./look-page";
import { renderProcessPage } from "./process-page";
import { renderTimelinePage } from "./timeline-page";

const HTML = "text/html; charset=utf-8";
/** A place in a file, as people write it: in decimal, or in hexadecimal behind 0x. */
const OFFSET = z.string().regex(/^(\d{1,15}|0x[0-9a-f]{1,12})$/i, "it is a number of bytes, or 0x and hexadecimal digits").default("0").transform(Number); // prettier-ignore

/** Adds the pages that show one thing of an analysis: a file from inside, a process, and what happened when. */
export function addDetailPages(app: App, { labFolder, search, work }: ServerParts): void {
  const config = { access: "read" as const };
  const file = z.object({ id: ID, "*": z.string().max(1_000) });
  app.get(
    "/analyses/:id/look/*",
    { config, schema: { hide: true, params: file, querystring: z.object({ at: OFFSET }) } },
    (request, reply) => {
      const { id, "*": name } = request.params;
      const found = getAnalysis(search, id);
      const { path, size } = getResultFile(labFolder, id, name);
      const look = lookIntoFile(path, request.query.at);
      return reply.type(HTML).send(renderLookPage(getCaller(request), found, { name, size, look }));
    },
  );
  const one = z.object({ id: ID, process: ID });
  app.get(
    "/analyses/:id/processes/:process",
    { config, schema: { hide: true, params: one } },
    async (request, reply) => {
      const { id, process: number } = request.params;
      const found = getAnalysis(search, id);
      const folder = getAnalysisFolder(labFolder, id);
      const summary = findSummary(folder) ?? (await work.do({ kind: "summary", folder }));
      const process = summary?.processes.find((each) => each.id === number);
      if (process === undefined) throw new NotThereError(`analysis ${id} has no process ${number} among those that its page shows`); // prettier-ignore
      const details = await work.do({ kind: "process", folder, pid: process.pid });
      return reply.type(HTML).send(renderProcessPage(getCaller(request), found, summary!, process, details));
    },
  );
  app.get("/analyses/:id/timeline", { config, schema: { hide: true, params: ID_PARAMS } }, async (request, reply) => {
    const { id } = request.params;
    const found = getAnalysis(search, id);
    const folder = getAnalysisFolder(labFolder, id);
    const timeline = await work.do({ kind: "timeline", folder });
    return reply.type(HTML).send(renderTimelinePage(getCaller(request), found, timeline, findSummary(folder)));
  });
}
