import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { Caller } from "../accounts/roles";
import type { ServerParts } from "../server-parts";
import { renderAnalyses } from "./analysis-table";
import { renderPage } from "./layout";

const ROWS = 50;
const MOST_GOING_ON = 100;

/** Renders the page with the queue and the newest analyses. @param before only older ones than this number */
export function renderListPage(parts: ServerParts, caller: Caller, before: number | undefined): string {
  const { search } = parts;
  const ended = search.list({ before }, ROWS + MOST_GOING_ON).filter(({ outcome }) => outcome !== undefined).slice(0, ROWS); // prettier-ignore
  const older =
    ended.length === ROWS ? markup`<p><a href="/?before=${ended.at(-1)!.id}">Older analyses</a></p>` : undefined;
  const submit = caller.rights.has("submit") ? markup`<a class="button" href="/submit">Submit a file</a>` : undefined;
  const content =
    before === undefined
      ? markup`<div id="live" data-refresh="3000" class="live">${renderTiles(parts)}${renderQueue(parts)}
<section class="card"><h2>Newest analyses</h2>${renderAnalyses(ended, "Newest analyses")}${older}</section></div>`
      : markup`<section class="card"><h2>Before ${before}</h2>${renderAnalyses(ended, "Older analyses")}${older}</section>`;
  return renderPage({
    ...{ title: "Analyses", place: "/", caller },
    content: markup`<div class="row top"><h1>Analyses</h1>${submit}</div>${content}`,
  });
}

function renderTiles({ search, mostRunning }: ServerParts): Markup {
  const [states, judgements] = [search.countByState(), search.countByJudgement()];
  const tile = (text: string, value: string | number, query: string) =>
    markup`<a class="tile" href="/search?${query}"><b>${value}</b>${text}</a>`;
  return markup`<div class="tiles">
${tile("running", `${states.running ?? 0} of ${mostRunning}`, "state=running")}
${tile("waiting", states.waiting ?? 0, "state=waiting")}
${tile("finished", states.finished ?? 0, "state=finished")}
${tile("failed or lost", (states.failed ?? 0) + (states.lost ?? 0), "state=failed")}
${tile("malicious", judgements.malicious ?? 0, "judgement=malicious")}
${tile("suspicious", judgements.suspicious ?? 0, "judgement=suspicious")}
</div>`;
}

function renderQueue({ search }: ServerParts): Markup {
  const running = search.list({ state: "running" }, MOST_GOING_ON);
  const waiting = search.list({ state: "waiting" }, MOST_GOING_ON);
  if (running.length + waiting.length === 0) return markup``;
  return markup`<section class="card"><h2>Running and waiting</h2>${renderAnalyses([...running, ...waiting.toReversed()], "Running and waiting analyses")}</section>`;
}
