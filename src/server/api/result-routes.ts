import { join } from "node:path";
import { z } from "zod";
import { EXPORT_FORMS, type ExportForm } from "../../lab/analysis/export/export-analysis";
import { zipAnalysis, zipFiles } from "../../lab/analysis/export/zip-analysis";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { NotThereError } from "../errors";
import { sendFile, sendMade } from "../http/send-file";
import { getAnalysis, getEndedFolder } from "../queue/submit";
import { getResultFile, listArtefacts, listResults, listScreenshots } from "../results/result-files";
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, ID_PARAMS } from "./app";

const LIMIT_MS = 3_600_000;
const FORMS = Object.keys(EXPORT_FORMS) as [ExportForm, ...ExportForm[]];
const EXPORT_TYPES: Readonly<Record<ExportForm, string>> = {
  zip: "application/zip",
  pdf: "application/pdf",
  perfetto: "application/octet-stream",
  misp: "application/json",
  navigator: "application/json",
};
/** Files that cannot do harm wherever they are opened. */
const HARMLESS: Readonly<Record<string, string>> = { ".png": "image/png", ".json": "application/json", ".jsonl": "application/x-ndjson" }; // prettier-ignore

const FILE = z.object({ path: z.string(), size: z.number().describe("In bytes.") });
/** Unless asked otherwise, files that may be malware come in an archive with the password "infected". */
const RAW = z.object({ raw: z.enum(["yes", "no"]).default("no").describe('"yes" sends the file itself, and not an archive with the password "infected".') }); // prettier-ignore

/** Adds the routes on what an analysis has left: its report, files and screenshots. */
export function addResultRoutes(app: App, parts: ServerParts): void {
  const { labFolder } = parts;
  const access = { config: { access: "read" as const } };
  const one = { params: ID_PARAMS, tags: ["results"] };
  for (const [ending, type] of [
    ["json", "application/json"],
    ["html", "text/html; charset=utf-8"],
  ] as const)
    // prettier-ignore
    app.get(
      `/api/v1/analyses/:id/report.${ending}`,
      { ...access, schema: { ...one, operationId: `report_${ending}`, summary: `Read the report as ${ending.toUpperCase()}` } }, // prettier-ignore
      ({ params: { id } }, reply) => {
        getEndedFolder(parts, id);
        const { path } = getResultFile(labFolder, id, `report.${ending}`);
        return sendFile(reply, { path, type, name: `report-${id}.${ending}`, isShown: ending === "json" });
      },
    );
  app.get(
    "/api/v1/analyses/:id/files",
    {
      ...access,
      schema: { ...one, operationId: "files", summary: "List the files of an analysis", response: { ...ERRORS, 200: z.object({ files: z.array(FILE) }) } }, // prettier-ignore
    },
    ({ params: { id } }) => {
      getAnalysis(parts.search, id);
      return { files: listResults(labFolder, id) };
    },
  );
  app.get(
    "/api/v1/analyses/:id/files/*",
    {
      ...access,
      schema: {
        ...{ operationId: "file", summary: "Read a file of an analysis", tags: ["results"] },
        params: z.object({ id: ID_PARAMS.shape.id, "*": z.string().max(1000) }),
        querystring: RAW,
      },
    },
    ({ params, query: { raw } }, reply) => {
      const { id, "*": name } = params;
      getAnalysis(parts.search, id);
      const { path } = getResultFile(labFolder, id, name);
      const last = name.slice(name.lastIndexOf("/") + 1);
      const type = HARMLESS[/\.\w+$/.exec(last)?.[0] ?? ""];
      if (raw === "yes" || (type !== undefined && !/^(artefacts|cores|code)\//.test(name)))
        return sendFile(reply, { path, name: last, type: type ?? "application/octet-stream" });
      return sendMade(reply, labFolder, { name: `${last}.zip`, type: "application/zip" }, (made) =>
        zipFiles(getAnalysisFolder(labFolder, id), [name], made, AbortSignal.timeout(LIMIT_MS)),
      );
    },
  );
  app.get(
    "/api/v1/analyses/:id/artefacts",
    {
      ...access,
      schema: {
        ...{ ...one, operationId: "artefacts", summary: "Read what the target wrote, and its memory, as a zip file" },
        querystring: z.object({ password: z.enum(["yes", "no"]).default("yes").describe('"no" makes a file without the password "infected".') }), // prettier-ignore
      },
    },
    ({ params: { id }, query: { password } }, reply) => {
      const folder = getEndedFolder(parts, id);
      const files = listArtefacts(labFolder, id).map(({ path }) => path);
      if (files.length === 0) throw new NotThereError(`analysis ${id} has no artefacts; the module artefacts keeps them`); // prettier-ignore
      return sendMade(reply, labFolder, { name: `artefacts-${id}.zip`, type: "application/zip" }, (made) =>
        password === "yes"
          ? zipFiles(folder, files, made, AbortSignal.timeout(LIMIT_MS))
          : zipFiles(folder, files, made, AbortSignal.timeout(LIMIT_MS), ""),
      );
    },
  );
  app.get(
    "/api/v1/analyses/:id/target",
    { ...access, schema: { ...one, operationId: "target", summary: "Read the target, as a zip file", querystring: RAW } }, // prettier-ignore
    ({ params: { id }, query: { raw } }, reply) => {
      const { sha256 } = getAnalysis(parts.search, id);
      const path = sha256 === undefined ? undefined : parts.samples.find(sha256);
      if (path === undefined) throw new NotThereError(`the target of analysis ${id} is not kept here`);
      const name = path.slice(path.lastIndexOf("/") + 1);
      if (raw === "yes") return sendFile(reply, { path, name, type: "application/octet-stream" });
      return sendMade(reply, labFolder, { name: `${name}.zip`, type: "application/zip" }, (made) =>
        zipFiles(join(path, ".."), [name], made, AbortSignal.timeout(LIMIT_MS)),
      );
    },
  );
  app.get(
    "/api/v1/analyses/:id/screenshots",
    {
      ...access,
      schema: { ...one, operationId: "screenshots", summary: "List the pictures of the screen", response: { ...ERRORS, 200: z.object({ screenshots: z.array(z.string()) }) } }, // prettier-ignore
    },
    ({ params: { id } }) => {
      getAnalysis(parts.search, id);
      return { screenshots: listScreenshots(labFolder, id) };
    },
  );
  app.get(
    "/api/v1/analyses/:id/screenshots/:name",
    {
      ...access,
      schema: {
        ...{ operationId: "screenshot", summary: "Read a picture of the screen", tags: ["results"] },
        params: z.object({ id: ID_PARAMS.shape.id, name: z.string().regex(/^[\w.-]+\.png$/) }),
      },
    },
    ({ params: { id, name } }, reply) => {
      const { path } = getResultFile(labFolder, id, `shots/${name}`);
      return sendFile(reply, { path, name, type: "image/png", isShown: true });
    },
  );
  app.get(
    "/api/v1/analyses/:id/export/:form",
    {
      ...access,
      schema: {
        ...{ operationId: "export", summary: "Read an analysis in the form of another tool", tags: ["results"] },
        params: z.object({ id: ID_PARAMS.shape.id, form: z.enum(FORMS) }),
      },
    },
    ({ params: { id, form } }, reply) => {
      const folder = getEndedFolder(parts, id);
      const answer = { name: `analysis-${id}${EXPORT_FORMS[form]}`, type: EXPORT_TYPES[form] }; // prettier-ignore
      return sendMade(reply, labFolder, answer, async (file) => {
        if (form === "zip") await zipAnalysis(folder, file, AbortSignal.timeout(LIMIT_MS));
        else await parts.work.do({ kind: "export", folder, form, file });
      });
    },
  );
}
