import { type Markup, markup, renderFacts } from "../../lab/analysis/report/markup";
import { renderVerdict } from "../../lab/analysis/report/verdict-section";
import { since } from "../../lab/analysis/report/event-rows";
import type { ReportSummary } from "../../lab/analysis/report/report-summary";
import type { FoundAnalysis } from "../../lab/analysis/search/search-analyses";
import type { Caller } from "../accounts/roles";
import { titleOf } from "../api/analysis-schema";
import { renderState, renderVerdictBadge } from "./analysis-table";
import { countArtefacts, renderArtefactLinks, renderDownloads } from "./download-links";
import { formatBytes, renderButton, renderPage, renderTime } from "./layout";
import { renderLive } from "./live-parts";
import { renderProcessTree } from "./process-list";

/** The phases that people wait for, in their order. */
const PHASES = ["queued", "waiting for a machine", "starting helpers", "starting machine", "delivering target", "running", "stopping helpers", "stopping machine", "reporting"]; // prettier-ignore
/** The phases in which the machine can be looked at. */
const LIVE_PHASES = ["delivering target", "running", "rebooting", "running after the reboot", "stopping helpers"];
const MOST_PICTURES = 40;

/** The parts of an analysis' page that are shown when it has ended. */
export interface EndedParts {
  /** Undefined when there is no report. */
  readonly summary: ReportSummary | undefined;
  readonly screenshots: readonly string[];
  readonly hasTarget: boolean;
  /** The address of the report's own page. */
  readonly reportPath: string;
}

/** Renders the page of an analysis that waits or runs: what happens comes by itself. */
export function renderRunningPage(caller: Caller, found: FoundAnalysis): string {
  // The reboot that few analyses have is no step of its own.
  const at = PHASES.indexOf(/reboot/.test(found.phase) ? "running" : found.phase);
  const steps = PHASES.map((phase, index) => markup`<li data-phase="${phase}"${index < at ? markup` class="done"` : undefined}${index === at ? markup` aria-current="step"` : undefined}>${phase}</li>`); // prettier-ignore
  const end = caller.rights.has("submit") ? renderButton(caller, `/analyses/${found.id}/cancel`, "End it now", { kind: "danger", confirm: "End this analysis now?" }) : undefined; // prettier-ignore
  return renderPage({
    ...{ title: `${found.id}: ${titleOf(found)}`, caller },
    content: markup`${renderHead(found, end)}
<section class="card" data-stream="/api/v1/analyses/${found.id}/events/stream">
<h2>Progress</h2>
<ol class="steps">${steps}</ol>
<p role="status" data-status="">${found.phase === "queued" ? "It waits for its turn." : "It goes on."}</p>
<noscript><p class="notice">Without scripts this page does not change by itself: load it again.</p></noscript>
</section>
<div class="columns">
<section class="card"><h2>So far</h2><table class="facts" data-counts=""><tbody></tbody></table><div class="shots" data-shot="" data-base="/api/v1/analyses/${found.id}/screenshots/"></div></section>
${renderAbout(found)}
</div>
${renderLive(caller, `/api/v1/analyses/${found.id}`, LIVE_PHASES)}
<div class="columns"><section class="card"><h2>Processes</h2><ul class="tree events" data-processes="" tabindex="0" role="region" aria-label="Processes of the target"></ul></section>
<section class="card"><h2>Network</h2><div class="events" tabindex="0" role="region" aria-label="Acts on the network"><table><caption class="hidden">What the target does on the network</caption><thead><tr><th scope="col">Act</th><th scope="col">Protocol</th><th scope="col">Place</th><th scope="col">Process</th><th scope="col">Times</th></tr></thead><tbody data-network=""></tbody></table></div></section></div>
<section class="card"><h2>Newest events</h2><div class="events" tabindex="0" role="region" aria-label="Newest events"><table><caption class="hidden">Newest events, the newest first</caption><thead><tr><th scope="col">Time</th><th scope="col">Event</th><th scope="col">Facts</th></tr></thead><tbody data-events=""></tbody></table></div></section>`,
  });
}

/** Renders the page of an analysis that has ended. */
export function renderEndedPage(caller: Caller, found: FoundAnalysis, parts: EndedParts): string {
  const { summary, screenshots, hasTarget, reportPath } = parts;
  const { id, created } = found;
  const actions = caller.rights.has("submit")
    ? markup`<div class="row">${renderButton(caller, `/analyses/${id}/repeat`, "Analyse again")}${renderButton(caller, `/analyses/${id}/remove`, "Remove", { kind: "danger", confirm: `Remove analysis ${id} and all its results?` })}</div>`
    : undefined;
  const nothing = markup`<p class="notice bad">It has no report: ${found.reason ?? "it left nothing"}</p>`;
  const shown = summary === undefined ? nothing : renderSummary(id, summary, screenshots, created, reportPath);
  return renderPage({
    ...{ title: `${id}: ${titleOf(found)}`, caller },
    content: markup`${renderHead(found, actions)}
${renderTabs(id, "overview")}
${summary && markup`<div class="card">${renderVerdict(summary.verdict, summary.analysis, (time) => since(time, created))}</div>`}
<div class="columns">${renderAbout(found)}
<section class="card"><h2>Download</h2>${renderDownloads(id, { hasReport: summary !== undefined, hasTarget, hasArtefacts: summary !== undefined && countArtefacts(summary) > 0, hasVerdict: summary?.verdict !== undefined })}
<h3>Compare</h3><form class="inline" method="get" action="/compare"><input type="hidden" name="one" value="${id}" /><label for="other">with analysis</label><input id="other" name="other" type="number" min="1" required="" /><button>Compare</button></form></section></div>
${shown}`,
  });
}

/** Renders the links between the pages of an analysis. */
export function renderTabs(id: number, current: "overview" | "events" | "network" | "timeline"): Markup {
  const tab = (path: string, text: string, isCurrent: boolean) => markup`<a href="${path}"${isCurrent ? markup` aria-current="page"` : undefined}>${text}</a>`; // prettier-ignore
  return markup`<nav class="tabs" aria-label="Parts of the analysis">${tab(`/analyses/${id}`, "Overview", current === "overview")}${tab(`/analyses/${id}/events`, "Events", current === "events")}${tab(`/analyses/${id}/network`, "Network", current === "network")}${tab(`/analyses/${id}/timeline`, "Timeline", current === "timeline")}</nav>`;
}

function renderSummary(
  id: number,
  summary: ReportSummary,
  screenshots: readonly string[],
  created: string,
  reportPath: string,
): Markup {
  // prettier-ignore
  const { processes, acts } = summary;
  const pictures = screenshots.slice(-MOST_PICTURES).map((name) => markup`<a href="/api/v1/analyses/${id}/screenshots/${name}"><img src="/api/v1/analyses/${id}/screenshots/${name}" alt="The guest's screen, ${name}" loading="lazy" /></a>`); // prettier-ignore
  return markup`${pictures.length > 0 ? markup`<section class="card"><h2>Screen <span class="muted">${screenshots.length}</span></h2><div class="shots" tabindex="0" role="region" aria-label="Pictures of the screen">${pictures}</div></section>` : undefined}
<section class="card"><h2>Processes <span class="muted">${processes.length}</span></h2>${renderProcessTree(id, processes, created)}
<p class="small"><a href="/analyses/${id}/events?type=file.">${acts.files} acts on files</a> · <a href="/analyses/${id}/events?type=network.">${acts.network} on the network</a> · <a href="/analyses/${id}/events?type=process.">${acts.control} on processes, rights and kernel</a></p></section>
${countArtefacts(summary) > 0 ? markup`<section class="card"><h2>Artefacts <span class="muted">${countArtefacts(summary)}</span></h2>${renderArtefactLinks(id, summary)}</section>` : undefined}
<section class="card"><div class="row top"><h2>Report</h2><a href="${reportPath}" target="_blank" rel="noopener">Open as a page of its own</a></div><iframe src="${reportPath}" sandbox="" title="Report of analysis ${id}" loading="lazy"></iframe></section>`;
}

function renderHead(found: FoundAnalysis, actions: Markup | undefined): Markup {
  return markup`<div class="row top"><div><h1>${titleOf(found)}</h1><div class="row"><span class="muted">Analysis ${found.id}</span>${found.outcome === undefined ? undefined : markup`${renderState(found)}${renderVerdictBadge(found)}`}</div></div>${actions}</div>
${found.outcome !== undefined && found.outcome !== "finished" && found.reason !== undefined ? markup`<p class="notice bad">${found.reason}</p>` : undefined}`;
}

function renderAbout(found: FoundAnalysis): Markup {
  const { sha256, sha1, md5, targetSize } = found;
  const hash = (value: string | undefined) =>
    value && markup`<a class="code" href="/search?hash=${value}">${value}</a>`;
  const facts = renderFacts([
    ["Outcome", found.outcome === undefined ? undefined : `${found.outcome}${found.reason === undefined ? "" : `: ${found.reason}`}`], // prettier-ignore
    ["Command", found.command && markup`<code>${found.command}</code>`],
    [
      "Size",
      targetSize === undefined
        ? undefined
        : `${targetSize < 1024 ? "" : `${formatBytes(targetSize)}, `}${targetSize} bytes`,
    ],
    ...([["SHA-256", hash(sha256)], ["SHA-1", hash(sha1)], ["MD5", hash(md5)]] as const), // prettier-ignore
    ["Machine", found.usedMachine ?? found.machine ?? "any"],
    ["Network", found.network],
    ["Time limit", `${found.timeoutS} s`],
    ["Not before", found.submission?.notBefore && renderTime(found.submission.notBefore)],
    ["Created", renderTime(found.created)],
    ["Ended", found.ended === undefined ? undefined : renderTime(found.ended)],
    ["By", found.submission?.by],
    ["Note", found.submission?.note],
    ["Options", Object.entries(found.options).map(([key, value]) => `${key}=${value}`).join(", ") || undefined], // prettier-ignore
  ]);
  return markup`<section class="card facts"><h2>About</h2>${facts}</section>`;
}
