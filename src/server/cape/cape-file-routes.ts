import { existsSync } from "node:fs";
import { join } from "node:path";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { zipAnalysis, zipFiles } from "../../lab/analysis/export/zip-analysis";
import { type App, ID, ID_PARAMS } from "../api/app";
import { sendFile, sendMade } from "../http/send-file";
import { listArtefacts, listScreenshots } from "../results/result-files";
import type { ServerParts } from "../server-parts";
import { makeLiteArchive } from "./lite-archive";
import { refuse } from "./cape-routes";
import { getCapeState, toCapeSample } from "./cape-tasks";

const LIMIT_MS = 3_600_000;
const CAPTURES = ["network.pcapng", "dump.pcap"];
const HASH = /^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$/i;

/** Adds the routes by which CAPE's clients fetch reports and files. */
export function addCapeFileRoutes(app: App, parts: ServerParts): void {
  const { labFolder, search, samples } = parts;
  const config = { access: "read" as const };
  const report = z.object({ id: ID, format: z.string().max(30).default("json"), zip: z.string().max(30).optional() });
  for (const path of ["", "/:format", "/:format/:zip"])
    app.get(`/apiv2/tasks/get/report/:id${path}`, { config, schema: { params: report } }, async (request, reply) => {
      const { id, format, zip } = request.params;
      return refuseUnready(parts, id) ?? sendReport(parts, id, format, zip === "zip", reply);
    });
  app.get("/apiv2/tasks/get/pcap/:id", { config, schema: { params: ID_PARAMS } }, ({ params: { id } }, reply) => {
    const folder = getAnalysisFolder(labFolder, id);
    const file = CAPTURES.map((name) => join(folder, name)).find((path) => existsSync(path));
    if (file === undefined) return refuse("PCAP does not exist");
    return sendFile(reply, { path: file, name: `${id}_dump.pcap`, type: "application/vnd.tcpdump.pcap" });
  });
  const shot = z.object({ id: ID, number: z.string().regex(/^\d{1,6}$/).optional() }); // prettier-ignore
  for (const path of ["", "/:number"])
    app.get(`/apiv2/tasks/get/screenshot/:id${path}`, { config, schema: { params: shot } }, (request, reply) => {
      const { id, number } = request.params;
      const folder = join(getAnalysisFolder(labFolder, id), "shots");
      const names = listScreenshots(labFolder, id);
      if (names.length === 0) return refuse("Screenshots do not exist");
      if (number === undefined)
        return sendMade(reply, labFolder, { name: `${id}_screenshots.zip`, type: "application/zip" }, (file) =>
          zipFiles(folder, names, file, AbortSignal.timeout(LIMIT_MS), ""),
        );
      const name = names[Number(number)];
      return name === undefined ? refuse("Screenshot does not exist") : sendFile(reply, { path: join(folder, name), name, type: "image/png", isShown: true }); // prettier-ignore
    });
  const value = z.object({ kind: z.enum(["task", "id", "md5", "sha1", "sha256"]), value: z.string().max(64) });
  const find = (kind: string, text: string) => {
    if (kind === "task" || kind === "id") return /^\d{1,9}$/.test(text) ? search.find(Number(text)) : undefined;
    return HASH.test(text) ? search.list({ hash: text.toLowerCase() }, 1)[0] : undefined;
  };
  app.get("/apiv2/files/view/:kind/:value", { config, schema: { params: value } }, ({ params }) => {
    const found = find(params.kind, params.value);
    if (found?.sha256 === undefined) return refuse("Sample not found in database");
    return { error: false, data: toCapeSample(found) };
  });
  app.get("/apiv2/files/get/:kind/:value", { config, schema: { params: value } }, ({ params }, reply) => {
    const sha256 = find(params.kind, params.value)?.sha256;
    const path = sha256 === undefined ? undefined : samples.find(sha256);
    if (path === undefined) return refuse("File not found");
    return sendFile(reply, { path, name: `${sha256}.bin`, type: "application/octet-stream" });
  });
}

/** Returns the answer about a task that has no report; undefined when it has one. */
function refuseUnready({ search, labFolder }: ServerParts, id: number): Record<string, unknown> | undefined {
  const found = search.find(id);
  if (found === undefined) return refuse("Task does not exist");
  const state = getCapeState(labFolder, found);
  // IntelOwl waits on exactly this text.
  if (state !== "reported" && state !== "failed_analysis") return refuse("Task is still being analyzed");
  return existsSync(join(getAnalysisFolder(labFolder, id), "report.json")) ? undefined : refuse("Task failed");
}

async function sendReport(
  { labFolder, work }: ServerParts,
  id: number,
  format: string,
  isZip: boolean,
  reply: FastifyReply,
): Promise<FastifyReply | Record<string, unknown>> {
  const folder = getAnalysisFolder(labFolder, id);
  const zip = { name: `${id}_${format}.zip`, type: "application/zip" };
  const signal = AbortSignal.timeout(LIMIT_MS);
  const makeLite = async (file: string) => void (await work.do({ kind: "lite", folder, file }));
  switch (format) {
    case "lite":
      return sendMade(reply, labFolder, zip, (file) => makeLiteArchive(folder, file, makeLite, signal));
    case "json":
    case "litereport":
      if (isZip)
        return sendMade(reply, labFolder, zip, (file) => makeLiteArchive(folder, file, makeLite, signal, true));
      return sendMade(reply, labFolder, { name: `${id}_report.json`, type: "application/json" }, makeLite);
    case "html":
    case "htmlsummary":
      return sendFile(reply, { path: join(folder, "report.html"), name: `${id}_report.html`, type: "text/html; charset=utf-8" }); // prettier-ignore
    case "all":
    case "dist":
      return sendMade(reply, labFolder, zip, (file) => zipAnalysis(folder, file, signal));
    case "dropped": {
      const files = listArtefacts(labFolder, id).map(({ path }) => path);
      if (files.length === 0) return refuse("The task has no dropped files");
      return sendMade(reply, labFolder, zip, (file) => zipFiles(folder, files, file, signal));
    }
    default:
      return reply.code(400).send(refuse(`there is no report ${format}; there are json, litereport, lite, html, all, dist and dropped`)); // prettier-ignore
  }
}
