import { z } from "zod";
import { getAnalysisFolder } from "../../../lab/analysis/analysis-places";
import { findSummary } from "../../../lab/analysis/report/report-summary";
import { type App, ID, ID_PARAMS } from "../../api/app";
import { NotThereError } from "../../errors";
import { getCaller } from "../../http/caller";
import { getAnalysis } from "../../queue/submit";
import { lookIntoFile } from "../../results/look-file";
import { getResultFile } from "../../results/result-files";
import { getProcess } from "../../results/find-process";
import type { ServerParts } from "../../server-parts";
import { renderLookPage } from "./look-page";
import { renderMemoryPage } from "./memory-page";
import { renderNetworkPage } from "./network-page";
import { renderProcessPage } from "./process-page";
import { renderTimelinePage } from "./timeline-page";

const HTML = "text/html; charset=utf-8";
/** A place in a file, as people write it: in decimal, or in hexadecimal behind 0x. */
const OFFSET = z.string().regex(/^(\d{1,15}|0x[0-9a-f]{1,12})$/i, "it is a number of bytes, or 0x and hexadecimal digits").default("0").transform(Number); // prettier-ignore

/** An address in the memory of a process, as debuggers write it. */
const ADDRESS = z.string().regex(/^0x[0-9a-f]{1,16}$/i, "it is 0x and hexadecimal digits").transform(BigInt).optional(); // prettier-ignore
const CORE = /^(cores|code)\/[\w.-]+\.core$/;

/** Adds the pages that show one thing of an analysis: a file from inside, a process and its memory, the network, and what happened when. */
export function addDetailPages(app: App, parts: ServerParts): void {
  const { labFolder, search, work } = parts;
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
  app.get(
    "/analyses/:id/memory/*",
    { config, schema: { hide: true, params: file, querystring: z.object({ at: ADDRESS }) } },
    async (request, reply) => {
      const { id, "*": name } = request.params;
      const found = getAnalysis(search, id);
      if (!CORE.test(name)) throw new NotThereError(`${name} is no memory of a process`);
      const { path } = getResultFile(labFolder, id, name);
      const look = await work.do({ kind: "memory", core: path, address: request.query.at });
      if (look === undefined) throw new NotThereError(`${name} has no memory from this address on`);
      return reply.type(HTML).send(renderMemoryPage(getCaller(request), found, name, look));
    },
  );
  const one = z.object({ id: ID, process: ID });
  app.get(
    "/analyses/:id/processes/:process",
    { config, schema: { hide: true, params: one } },
    async (request, reply) => {
      const { id, process: number } = request.params;
      const found = getAnalysis(search, id);
      const { summary, process, details } = await getProcess(parts, id, number);
      return reply.type(HTML).send(renderProcessPage(getCaller(request), found, summary, process, details));
    },
  );
  app.get("/analyses/:id/network", { config, schema: { hide: true, params: ID_PARAMS } }, async (request, reply) => {
    const { id } = request.params;
    const found = getAnalysis(search, id);
    const network = await work.do({ kind: "network", folder: getAnalysisFolder(labFolder, id) });
    return reply.type(HTML).send(renderNetworkPage(getCaller(request), found, network));
  });
  app.get("/analyses/:id/timeline", { config, schema: { hide: true, params: ID_PARAMS } }, async (request, reply) => {
    const { id } = request.params;
    const found = getAnalysis(search, id);
    const folder = getAnalysisFolder(labFolder, id);
    const timeline = await work.do({ kind: "timeline", folder });
    return reply.type(HTML).send(renderTimelinePage(getCaller(request), found, timeline, findSummary(folder)));
  });
}
