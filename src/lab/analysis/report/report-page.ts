import { isYes } from "../../../config/named-values";
import { RECORD_OPTION } from "../target/recorded-analysis";
import type { NetworkRecord } from "../analysis-record";
import { renderArtefacts } from "./artefacts-section";
import { type FactRow, type Markup, markup, renderFacts } from "./markup";
import { renderCaptures, renderCalls, renderUsage, renderWebRequests } from "./module-sections";
import { PAGE_POLICY, PAGE_STYLE } from "./page-style";
import { renderPictures } from "./picture-section";
import { renderProcesses } from "./process-section";
import { isOfTarget, type Origin } from "./process-tree";
import { renderEvent, since } from "./event-rows";
import type { AnalysisReport } from "./report";
import type { ReportParts } from "./report-parts";
import { renderSample } from "./sample-section";
import { renderVerdict } from "./verdict-section";

/**
 * Renders the report of an analysis as an HTML file that needs nothing else but its parts.
 *
 * @param report what gatherReport() has gathered
 * @param folder the folder of the analysis, for the pictures
 * @param parts take what the page does not hold
 */
export function renderReportPage(report: AnalysisReport, folder: string, parts: ReportParts): string {
  const { analysis } = report;
  const { captures, systemCalls, libraryCalls, usage, webRequests } = report.modules;
  const renderActs = (list: AnalysisReport["files"], name: string) =>
    parts.renderTable(name, list, ({ origin: _origin, ...act }) => renderEvent(act, analysis.created));
  const title = `Analysis ${analysis.id}: ${analysis.target?.name ?? analysis.command ?? "no target"}`;
  const page = markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${PAGE_POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${PAGE_STYLE}
        </style>
      </head>
      <body>
        <h1>${title}</h1>
        ${renderVerdict(report.verdict, analysis, (time) => since(time, analysis.created))} ${renderSummary(report)}
        ${report.sample && renderSample(report.sample)}
        ${section("processes", "Processes", ...byOrigin(report, "processes", report.processes, (list, name) => renderProcesses(name, list, analysis.created, parts)))}
        ${section("network", "Network", ...byOrigin(report, "network", report.network, renderActs))}
        ${section(
          "captures",
          "Conversations",
          captures.reduce((sum, { flows }) => sum + flows.length, 0),
          markup`${renderCaptures(report.modules, (time) => since(time, analysis.created))}${renderWebRequests(webRequests)}`,
        )}
        ${section("files", "Files", ...byOrigin(report, "files", report.files, renderActs))}
        ${section(
          "artefacts",
          "Artefacts",
          report.artefacts.length + report.cores.length + report.code.length,
          renderArtefacts(report, (time) => since(time, analysis.created)),
        )}
        ${section("control", "Processes, rights and kernel", ...byOrigin(report, "control", report.control, renderActs))}
        ${section("calls", "System calls", systemCalls.length, renderCalls(systemCalls))}
        ${section("functions", "Calls of library functions", libraryCalls.length, renderCalls(libraryCalls))}
        ${section("screenshots", "Screenshots", report.screenshots.length, renderPictures(report.screenshots, folder))}
        ${section("usage", "Usage", usage.length, renderUsage(usage))}
        ${section("modules", "Auxiliary modules", analysis.auxiliary.length, renderModules(report))}
        ${section("timeline", "Timeline", report.timeline.length, renderTimeline(report, parts))}
        ${section("log", "Log", report.log.length, renderLog(report))}
        ${section("left", "Files of this analysis", report.left.length, renderLeft(report))}
      </body>
    </html>
`;
  return page.text;
}

function section(id: string, title: string, count: number, content: Markup): Markup {
  const body = count === 0 && content.text === "" ? markup`<p class="muted">None.</p>` : content;
  return markup`<section id="${id}">
    <h2>${title} <span class="muted">${count}</span></h2>
    ${body}
  </section>`;
}

/** The headings of what the target did not do itself. */
const OTHERS: readonly (readonly [Origin, string])[] = [
  ["rebox", "What rebox ran in the guest"],
  ["system", "What the guest's system did"],
];

/**
 * Shows what the target did, and the rest one fold away.
 *
 * @returns how much the target did, and the content; all of it when it was not seen which processes are the target's
 */
function byOrigin<Item extends { readonly origin: Origin | undefined }>(
  { knowsTarget }: AnalysisReport,
  name: string,
  items: readonly Item[],
  renderList: (items: readonly Item[], name: string) => Markup,
): [number, Markup] {
  if (!knowsTarget) return [items.length, renderList(items, name)];
  const of = (origin: Origin) => items.filter((item) => item.origin === origin);
  const own = items.filter(({ origin }) => isOfTarget(origin));
  const rest = OTHERS.map(([origin, title]) => [title, of(origin), `${name}-${origin}`] as const).filter(
    ([, list]) => list.length > 0,
  );
  const folded = rest.map(
    ([title, list, own]) =>
      markup`<details>
        <summary>${title} <span class="muted">${list.length}</span></summary>
        ${renderList(list, own)}
      </details>`,
  );
  return [own.length, markup`${own.length === 0 ? NOTHING : renderList(own, name)}${folded}`];
}

const NOTHING = markup`<p class="muted">None of the target.</p>`;

function renderSummary({ analysis }: AnalysisReport): Markup {
  const good = analysis.outcome === "finished";
  const rows: readonly FactRow[] = [
    [
      "Outcome",
      markup`<span class="${good ? "good" : "bad"}">${analysis.outcome ?? "not ended"}</span> ${analysis.reason}`,
    ],
    ["Target", analysis.target && `${analysis.target.name}, ${analysis.target.size} bytes`],
    ["SHA-256", analysis.target && markup`<code>${analysis.target.sha256}</code>`],
    ["Command", analysis.command && markup`<code>${analysis.command}</code>`],
    [
      "Machine",
      analysis.machine && `${analysis.machine.name} (${analysis.machine.machinery}, ${analysis.machine.platform})`,
    ],
    ["Network", analysis.network && renderNetwork(analysis.network)],
    ["Recording", isYes(analysis.options[RECORD_OPTION]) ? renderRecording(analysis.id) : undefined],
    ["Began", analysis.created],
    ["Ended", analysis.ended],
    ["Time limit", `${analysis.timeoutS} s`],
    ["Options", Object.entries(analysis.options).map(([key, value]) => `${key}=${value}`).join(", ") || undefined], // prettier-ignore
    ["Phases", analysis.phases.map(({ phase, began }) => `${phase} ${since(began, analysis.created)}`).join(", ")],
  ];
  return renderFacts(rows, "summary");
}

/** Each event of the machine's engine has its count. */
function renderRecording(id: number): Markup {
  return markup`<code>rebox replay analyses/${id} --at COUNT --ui</code> in the folder of the lab goes to where an event happened`;
}

function renderNetwork({ network, isOpen, problems }: NetworkRecord): Markup {
  const open = isOpen ? markup`<span class="bad">open</span>: frames could leave the lab` : "nothing leaves the lab";
  return markup`${network}, ${open}${problems.map((problem) => markup`<br /><span class="bad">${problem}</span>`)}`;
}

function renderTimeline(report: AnalysisReport, parts: ReportParts): Markup {
  const total = Object.values(report.counts).reduce((sum, count) => sum + count, 0);
  const isCut = total > report.timeline.length;
  const more = isCut ? markup`<p>The first ${report.timeline.length} of ${total}, counted apart for the target and all else; events.jsonl has all.</p>` : undefined; // prettier-ignore
  const counts = Object.entries(report.counts).map(([type, count]) => `${type}: ${count}`).join(", "); // prettier-ignore
  return markup`<p class="muted">${counts}</p>
    ${more}
    <details>
      <summary>Events</summary>
      ${parts.renderTable("timeline", report.timeline, (event) => renderEvent(event, report.analysis.created))}
    </details>`;
}

function renderModules({ analysis }: AnalysisReport): Markup {
  const rows = analysis.auxiliary.map(({ name, state, reason, errors }) => {
    const bad = state === "failed" || state === "stop-failed" || errors.length > 0 ? "bad" : "";
    return markup`<tr>
      <td>${name}</td>
      <td class="${bad}">${state}</td>
      <td>${[reason, ...errors.filter((error) => error !== reason)].filter(Boolean).join("; ")}</td>
    </tr>`;
  });
  return markup`<table>
    ${rows}
  </table>`;
}

function renderLog({ log, analysis }: AnalysisReport): Markup {
  const rows = log.map(({ time, level, text }) => {
    const bad = level === "warn" || level === "error" ? "bad" : "";
    return markup`<tr>
      <td class="muted">${since(time, analysis.created)}</td>
      <td class="${bad}">${level}</td>
      <td class="code">${text}</td>
    </tr>`;
  });
  return markup`<details>
    <summary>Lines</summary>
    <table>
      ${rows}
    </table>
  </details>`;
}

function renderLeft({ left }: AnalysisReport): Markup {
  return markup`<table>
    ${left.map(
      ({ path, size }) =>
        markup`<tr>
          <td class="code">${path}</td>
          <td>${size} bytes</td>
        </tr>`,
    )}
  </table>`;
}
