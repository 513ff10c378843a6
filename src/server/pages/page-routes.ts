import { z } from "zod";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { findSummary } from "../../lab/analysis/report/report-summary";
import { QUERY } from "../api/analysis-routes";
import { type App, ID, ID_PARAMS } from "../api/app";
import { FILTER } from "../api/event-routes";
import { NotThereError } from "../errors";
import { getCaller } from "../http/caller";
import { sendFile } from "../http/send-file";
import { getAnalysis, getEndedFolder } from "../queue/submit";
import { getResultFile, listScreenshots } from "../results/result-files";
import type { ServerParts } from "../server-parts";
import { renderAccountPage, renderAuditPage, renderUsersPage } from "./account-pages";
import { renderEndedPage, renderRunningPage } from "./analysis-page";
import { addAssetRoutes } from "./assets/assets";
import { renderComparePage } from "./compare-page";
import { addDetailPages } from "./details/detail-routes";
import { renderEventsPage } from "./events-page";
import { addFormRoutes } from "./form-routes";
import { renderListPage } from "./list-page";
import { addMachinePages } from "./machines/machine-routes";
import { renderMachinesPage } from "./machines/machines-page";
import { addRecordingPages } from "./recordings/recording-routes";
import { renderSearchPage } from "./search-page";
import { addSignInRoutes } from "./sign-in-routes";
import { renderSubmitPage } from "./submit-page";
import { renderWebhooksPage } from "./webhook-pages";

const HTML = "text/html; charset=utf-8";
const ROWS = 100;
/** The report has its own style in it, and its parts beside it; it may be in a frame that has no origin, so none is named. */
const REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; sandbox allow-popups"; // prettier-ignore

/** Adds the pages. */
export function addPageRoutes(app: App, parts: ServerParts): void {
  addAssetRoutes(app);
  addSignInRoutes(app, parts);
  addFormRoutes(app, parts);
  addAnalysisPages(app, parts);
  addDetailPages(app, parts);
  addMachinePages(app, parts);
  addRecordingPages(app, parts);
  const { accounts, machines, settings } = parts;
  const read = { config: { access: "read" as const }, schema: { hide: true } };
  const administer = { config: { access: "administer" as const }, schema: { hide: true } };
  const before = z.object({ before: ID.optional() });
  app.get("/", { ...read, schema: { hide: true, querystring: before } }, (request, reply) =>
    reply.type(HTML).send(renderListPage(parts, getCaller(request), request.query.before)),
  );
  app.get("/submit", { ...read, config: { access: "submit" } }, async (request, reply) =>
    reply.type(HTML).send(renderSubmitPage(getCaller(request), await machines.list(), settings.largestUpload)),
  );
  app.get("/machines", read, async (request, reply) =>
    reply.type(HTML).send(renderMachinesPage(getCaller(request), await machines.list())),
  );
  app.get("/account", read, (request, reply) => {
    const caller = getCaller(request);
    const tokens = accounts.tokens.list(caller.rights.has("administer") ? undefined : caller.user);
    return reply.type(HTML).send(renderAccountPage(caller, tokens));
  });
  app.get("/users", administer, (request, reply) =>
    reply.type(HTML).send(renderUsersPage(getCaller(request), accounts.users.list())),
  );
  app.get("/webhooks", administer, (request, reply) =>
    reply.type(HTML).send(renderWebhooksPage(getCaller(request), parts.webhooks)),
  );
  app.get("/audit", { ...administer, schema: { hide: true, querystring: before } }, (request, reply) => {
    const entries = accounts.audit.list(ROWS, request.query.before);
    return reply.type(HTML).send(renderAuditPage(getCaller(request), entries, ROWS));
  });
}

function addAnalysisPages(app: App, parts: ServerParts): void {
  const { labFolder, search, work, tickets, samples } = parts;
  const config = { access: "read" as const };
  app.get("/analyses/:id", { config, schema: { hide: true, params: ID_PARAMS } }, async (request, reply) => {
    const { id } = request.params;
    const found = getAnalysis(search, id);
    const caller = getCaller(request);
    if (found.outcome === undefined) return reply.type(HTML).send(renderRunningPage(caller, found));
    const folder = getAnalysisFolder(labFolder, id);
    // Older reports have none beside them.
    const summary = findSummary(folder) ?? (await work.do({ kind: "summary", folder }));
    const page = renderEndedPage(caller, found, {
      ...{ summary, screenshots: listScreenshots(labFolder, id) },
      hasTarget: found.sha256 !== undefined && samples.find(found.sha256) !== undefined,
      reportPath: `/analyses/${id}/report/${tickets.make(id)}/report.html`,
    });
    return reply.type(HTML).send(page);
  });
  const events = z.object({ ...FILTER.shape, pid: z.preprocess((value) => (value === "" ? undefined : value), FILTER.shape.pid), after: z.coerce.number().int().min(0).default(0) }); // prettier-ignore
  app.get(
    "/analyses/:id/events",
    { config, schema: { hide: true, params: ID_PARAMS, querystring: events } },
    async (request, reply) => {
      // prettier-ignore
      const { id } = request.params;
      const { after, type, pid, text } = request.query;
      const filter = { type: type || undefined, pid, text: text || undefined };
      const found = getAnalysis(search, id);
      const page = await work.do({
        kind: "events",
        folder: getAnalysisFolder(labFolder, id),
        filter,
        after,
        limit: ROWS,
      });
      return reply.type(HTML).send(renderEventsPage(getCaller(request), found, filter, page));
    },
  );
  const report = z.object({ id: ID, ticket: z.string().max(100), "*": z.string().max(200) });
  // Open to who has the ticket: a frame without an origin brings no cookie.
  app.get(
    "/analyses/:id/report/:ticket/*",
    { config: { access: "open" }, schema: { hide: true, params: report } },
    (request, reply) => {
      // prettier-ignore
      const { id, ticket, "*": name } = request.params;
      if (!tickets.check(id, ticket) || !/^report(\/[\w.-]+)?\.html$/.test(name)) throw new NotThereError("this address of a report is over; open the analysis again"); // prettier-ignore
      const { path } = getResultFile(labFolder, id, name);
      return sendFile(reply, { path, name, type: HTML, isShown: true }).header(
        "content-security-policy",
        REPORT_POLICY,
      );
    },
  );
  app.get("/search", { config, schema: { hide: true } }, (request, reply) => {
    const given = Object.fromEntries(Object.entries(request.query as object).filter(([, value]) => value !== "")) as Record<string, string>; // prettier-ignore
    const caller = getCaller(request);
    const parsed = QUERY.safeParse(given);
    if (!parsed.success) {
      const problem = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
      return reply
        .code(400)
        .type(HTML)
        .send(renderSearchPage(caller, given, undefined, undefined, problem));
    }
    const found = Object.keys(given).length === 0 ? undefined : search.list(parsed.data, ROWS);
    const next = found?.length === ROWS ? found.at(-1)!.id : undefined;
    return reply.type(HTML).send(renderSearchPage(caller, parsed.data, found, next));
  });
  const two = z.object({ one: ID, other: ID });
  app.get("/compare", { config, schema: { hide: true, querystring: two } }, async (request, reply) => {
    const { one, other } = request.query;
    const folders = [getEndedFolder(parts, one), getEndedFolder(parts, other)] as const;
    return reply.type(HTML).send(renderComparePage(getCaller(request), await work.do({ kind: "compare", folders })));
  });
}
