import { z } from "zod";
import type { FoundAnalysis } from "../../lab/analysis/search/search-analyses";
import { type App, getDoer, ID_PARAMS } from "../api/app";
import { RequestError } from "../errors";
import { cancel, type Doer, remove } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import { refuse } from "./cape-routes";
import { getCapeState, toCapeTask } from "./cape-tasks";

const DEFAULT_LISTED = 10;
const MOST_LISTED = 50;
/** How far back a list looks for what it is asked for. */
const MOST_SEARCHED = 5_000;
const MOST_DELETED = 1_000;
const HASH = /^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$/i;

/** Adds the routes by which CAPE's clients look at tasks, end and delete them. */
export function addCapeTaskRoutes(app: App, parts: ServerParts): void {
  const { search, labFolder } = parts;
  const config = { access: "read" as const };
  const one = { config, schema: { params: ID_PARAMS } };
  app.get("/apiv2/tasks/view/:id", one, ({ params: { id } }) => {
    const found = search.find(id);
    if (found === undefined) return refuse("Task not found in database");
    return { error: false, data: toCapeTask(labFolder, found) };
  });
  app.get("/apiv2/tasks/status/:id", one, ({ params: { id } }) => {
    const found = search.find(id);
    return found === undefined ? refuse("Task does not exist") : { error: false, data: getCapeState(labFolder, found) };
  });
  app.post("/apiv2/tasks/status/:id", { config: { access: "submit" }, schema: { params: ID_PARAMS } }, (request) => {
    if ((request.body as { status?: unknown } | null)?.status !== "finish") return refuse("status can only be finish");
    cancel(parts, getDoer(request), request.params.id);
    return { error: false, data: "Task is being finished" };
  });
  const count = z.coerce.number().int().min(0).max(1_000_000);
  const listParams = z.object({ limit: count.optional(), offset: count.optional(), window: count.optional() });
  const listQuery = z.object({ status: z.string().max(200).optional(), ids: z.string().max(10).optional(), completed_after: z.coerce.number().optional(), option: z.string().optional(), category: z.string().optional() }); // prettier-ignore
  for (const path of ["", "/:limit", "/:limit/:offset", "/:limit/:offset/:window"])
    app.get(`/apiv2/tasks/list${path}`, { config, schema: { params: listParams, querystring: listQuery } }, (request) =>
      listTasks(parts, request.params, request.query),
    );
  app.get(
    "/apiv2/tasks/search/:kind/:hash",
    { config, schema: { params: z.object({ kind: z.enum(["md5", "sha1", "sha256"]), hash: z.string().max(64) }) } },
    ({ params: { hash } }) => {
      const found = HASH.test(hash) ? search.list({ hash: hash.toLowerCase() }, MOST_LISTED) : [];
      return { error: false, data: found.map((each) => toCapeTask(labFolder, each)) };
    },
  );
  addDeleteRoutes(app, parts);
}

function listTasks(
  { search, labFolder }: ServerParts,
  { limit = DEFAULT_LISTED, offset = 0, window = 0 }: { readonly limit?: number | undefined; readonly offset?: number | undefined; readonly window?: number | undefined }, // prettier-ignore
  { status, ids, completed_after: after }: { readonly status?: string | undefined; readonly ids?: string | undefined; readonly completed_after?: number | undefined }, // prettier-ignore
): Record<string, unknown> {
  const states = status?.split("|");
  const since = Math.max((after ?? 0) * 1000, window === 0 ? 0 : Date.now() - window * 60_000);
  const fits = (found: FoundAnalysis) =>
    (states === undefined || states.includes(getCapeState(labFolder, found))) &&
    (since === 0 || (found.ended !== undefined && Date.parse(found.ended) >= since));
  const isBrief = /^(true|1|yes)$/i.test(ids ?? "");
  const most = isBrief ? MOST_SEARCHED : Math.min(limit, MOST_LISTED);
  const all = search.list({}, MOST_SEARCHED).filter(fits).toSorted((one, other) => (other.ended ?? "").localeCompare(one.ended ?? "")); // prettier-ignore
  const shown = all.slice(offset, offset + most);
  const data = isBrief ? shown.map(({ id }) => ({ id })) : shown.map((each) => toCapeTask(labFolder, each));
  return { error: false, data, config: `Limit: ${limit}, Offset: ${offset}`, buf: shown.length };
}

function addDeleteRoutes(app: App, parts: ServerParts): void {
  const { labFolder, search } = parts;
  const config = { access: "submit" as const };
  // CAPE's clients delete by GET: checkAccess() lets no session do so.
  for (const path of ["/:ids", "/:ids/:state"])
    app.get(
      `/apiv2/tasks/delete${path}`,
      { config, schema: { params: z.object({ ids: z.string().regex(/^[\d,-]{1,1000}$/), state: z.string().max(50).optional() }) } }, // prettier-ignore
      (request) => {
        const { ids, state } = request.params;
        const list = readIds(ids);
        const failed = list.filter((id) => {
          const found = search.find(id);
          if (state !== undefined && found !== undefined && getCapeState(labFolder, found) !== state) return true;
          return !tryRemove(parts, getDoer(request), id);
        });
        const deleted = list.filter((id) => !failed.includes(id));
        const data = deleted.length === 0 ? {} : { data: `Task(s) ID(s) ${deleted.join(",")} has been deleted` };
        const text = `Task(s) ID(s) ${failed.join(",")} failed to remove`;
        return failed.length === 0 ? { error: false, ...data } : refuse(text, { failed: text, ...data });
      },
    );
  app.post("/apiv2/tasks/delete_many", { config }, (request) => {
    const { ids } = (request.body ?? {}) as { ids?: unknown };
    const answers = readIds(typeof ids === "string" ? ids : "").map((id) => {
      const found = search.find(id);
      if (found === undefined) return [id, "not exists"] as const;
      if (found.outcome === undefined) return [id, "running"] as const;
      return [id, tryRemove(parts, getDoer(request), id) ? "deleted" : "error"] as const;
    });
    return { ...Object.fromEntries(answers), status: "OK" };
  });
}

/** Removes an analysis. Returns whether it could be. */
function tryRemove(parts: ServerParts, doer: Doer, id: number): boolean {
  try {
    remove(parts, doer, id);
    return true;
  } catch (error) {
    if (error instanceof RequestError) return false;
    throw error;
  }
}

/** Reads "1,2" and "1-4". */
function readIds(text: string): number[] {
  const ids = text.split(",").flatMap((part) => {
    const [, from, to = from] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim()) ?? [];
    if (from === undefined) return [];
    const length = Math.min(MOST_DELETED, Number(to) - Number(from) + 1);
    return Array.from({ length: Math.max(0, length) }, (_, at) => Number(from) + at);
  });
  return ids.slice(0, MOST_DELETED);
}
