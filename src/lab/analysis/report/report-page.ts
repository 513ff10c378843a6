import { readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../../machinery/records/machine-file";
import type { AnalysisRecord, NetworkRecord } from "../analysis-record";
import type { AnalysisEvent } from "../event-log";
import { createNavigatorLayer } from "../../verdict/navigator-layer";
import type { Verdict } from "../../verdict/verdict";
import { renderArtefacts } from "./artefacts-section";
import { type Markup, markup } from "./markup";
import { renderCaptures, renderSystemCalls, renderUsage } from "./module-sections";
import { isOfTarget, type Origin } from "./process-tree";
import { type Act, type AnalysisReport, gatherReport, type ReportedProcess } from "./report";
import { renderVerdict, VERDICT_STYLE } from "./verdict-section";

/** In bytes; a larger picture stays a file. */
const LARGEST_PICTURE = 2 << 20;
const MOST_PICTURES = 200;
/** The depth to which processes are shown below each other. */
const DEEPEST = 100;

/** No script runs in the page, and nothing is loaded: its content comes from the target, which is hostile. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #8886; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
td, th { padding: .15rem .8rem .15rem 0; vertical-align: top; } td { overflow-wrap: anywhere; }
code, .code { font-family: ui-monospace, monospace; font-size: .9em; white-space: pre-wrap; }
ul.tree, ul.tree ul { list-style: none; padding-left: 1.2rem; border-left: 1px solid #8886; }
.muted { opacity: .65; } .bad { color: #c0392b; font-weight: 600; } .good { color: #1e8449; font-weight: 600; }
figure { margin: .5rem 0; } svg { width: 100%; height: 60px; border-bottom: 1px solid #8886; }
img { max-width: 100%; border: 1px solid #8886; margin: .5rem 0; } summary { cursor: pointer; }`;

/**
 * Renders the report of an analysis as one HTML file that needs nothing else.
 *
 * @param report what gatherReport() has gathered
 * @param folder the folder of the analysis, for the pictures
 */
export function renderReportPage(report: AnalysisReport, folder: string): string {
  const { analysis } = report;
  const { captures, systemCalls, usage } = report.modules;
  const title = `Analysis ${analysis.id}: ${analysis.target?.name ?? analysis.command ?? "no target"}`;
  const page = markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${STYLE}${VERDICT_STYLE}
        </style>
      </head>
      <body>
        <h1>${title}</h1>
        ${renderVerdict(report.verdict, (time) => since(time, analysis.created))} ${renderSummary(report)}
        ${section("processes", "Processes", ...byOrigin(report, report.processes, (list) => renderProcesses(list, report)))}
        ${section("network", "Network", ...byOrigin(report, report.network, (list) => renderActs(list, report)))}
        ${section(
          "captures",
          "Conversations",
          captures.reduce((sum, { flows }) => sum + flows.length, 0),
          renderCaptures(report.modules, (time) => since(time, analysis.created)),
        )}
        ${section("files", "Files", ...byOrigin(report, report.files, (list) => renderActs(list, report)))}
        ${section(
          "artefacts",
          "Artefacts",
          report.artefacts.length,
          renderArtefacts(report.artefacts, (time) => since(time, analysis.created)),
        )}
        ${section("control", "Processes, rights and kernel", ...byOrigin(report, report.control, (list) => renderActs(list, report)))}
        ${section("calls", "System calls", systemCalls.length, renderSystemCalls(systemCalls))}
        ${section("screenshots", "Screenshots", report.screenshots.length, renderPictures(report.screenshots, folder))}
        ${section("usage", "Usage", usage.length, renderUsage(usage))}
        ${section("modules", "Auxiliary modules", analysis.auxiliary.length, renderModules(report))}
        ${section("timeline", "Timeline", report.timeline.length, renderTimeline(report))}
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
  items: readonly Item[],
  renderList: (items: readonly Item[]) => Markup,
): [number, Markup] {
  if (!knowsTarget) return [items.length, renderList(items)];
  const of = (origin: Origin) => items.filter((item) => item.origin === origin);
  const own = items.filter(({ origin }) => isOfTarget(origin));
  const rest = OTHERS.map(([origin, title]) => [title, of(origin)] as const).filter(([, list]) => list.length > 0);
  const folded = rest.map(
    ([title, list]) =>
      markup`<details>
        <summary>${title} <span class="muted">${list.length}</span></summary>
        ${renderList(list)}
      </details>`,
  );
  return [own.length, markup`${own.length === 0 ? NOTHING : renderList(own)}${folded}`];
}

const NOTHING = markup`<p class="muted">None of the target.</p>`;

function renderSummary({ analysis }: AnalysisReport): Markup {
  const good = analysis.outcome === "finished";
  const rows: readonly (readonly [string, Markup | string | undefined])[] = [
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
    ["Began", analysis.created],
    ["Ended", analysis.ended],
    ["Time limit", `${analysis.timeoutS} s`],
    ["Options", Object.entries(analysis.options).map(([key, value]) => `${key}=${value}`).join(", ") || undefined], // prettier-ignore
    ["Phases", analysis.phases.map(({ phase, began }) => `${phase} ${since(began, analysis.created)}`).join(", ")],
  ];
  const shown = rows.filter(([, value]) => value !== undefined);
  return markup`<table id="summary">
    ${shown.map(
      ([name, value]) =>
        markup`<tr>
          <th>${name}</th>
          <td>${value}</td>
        </tr>`,
    )}
  </table>`;
}

function renderNetwork({ network, isOpen, problems }: NetworkRecord): Markup {
  const open = isOpen ? markup`<span class="bad">open</span>: frames could leave the lab` : "nothing leaves the lab";
  return markup`${network}, ${open}${problems.map((problem) => markup`<br /><span class="bad">${problem}</span>`)}`;
}

/** The place of the processes at the top of a tree: the `id` of none. */
const NO_PARENT = 0;

/** Renders processes of a report below each other; those whose parents are not among them come first. */
function renderProcesses(processes: readonly ReportedProcess[], { analysis }: AnalysisReport): Markup {
  const known = new Set(processes.map(({ id }) => id));
  const children = new Map<number, ReportedProcess[]>();
  for (const process of processes) {
    const parent = process.parent !== undefined && known.has(process.parent) ? process.parent : NO_PARENT;
    const siblings = children.get(parent) ?? [];
    siblings.push(process);
    children.set(parent, siblings);
  }
  return renderTree(NO_PARENT, children, analysis.created, DEEPEST);
}

function renderTree(
  parent: number,
  all: ReadonlyMap<number, readonly ReportedProcess[]>,
  start: string,
  depth: number,
): Markup {
  if (depth === 0) return markup`<p class="muted">Deeper processes are in report.json.</p>`;
  const items = (all.get(parent) ?? []).map((process) => {
    const end = process.ended === undefined ? "" : ` to ${since(process.ended, start)}`;
    const below = all.has(process.id) ? renderTree(process.id, all, start, depth - 1) : undefined;
    const adoption = process.adoptedBy && markup` <span class="bad">acts for the target: ${process.adoptedBy}</span>`;
    return markup`<li>
      <code>${process.pid}</code> <b>${process.name}</b> <code>${process.commandLine}</code>${adoption}
      <span class="muted">${since(process.began, start)}${end}</span>${below}
    </li>`;
  });
  return markup`<ul class="tree">
    ${items}
  </ul>`;
}

function renderActs(acts: readonly Act[], { analysis }: AnalysisReport): Markup {
  return renderEvents(
    acts.map(({ origin: _origin, ...act }) => act as unknown as AnalysisEvent),
    analysis.created,
  );
}

function renderEvents(events: readonly AnalysisEvent[], start: string): Markup {
  const rows = events.map(({ time, type, ...facts }) => {
    const shown = Object.entries(facts).map(([key, value]) => `${key}=${textOf(value)}`);
    return markup`<tr>
      <td class="muted">${since(time, start)}</td>
      <td>${type}</td>
      <td class="code">${shown.join("  ")}</td>
    </tr>`;
  });
  return markup`<table>
    ${rows}
  </table>`;
}

function renderTimeline(report: AnalysisReport): Markup {
  const total = Object.values(report.counts).reduce((sum, count) => sum + count, 0);
  const isCut = total > report.timeline.length;
  const more = isCut ? markup`<p>The first ${report.timeline.length} of ${total}, counted apart for the target and all else; events.jsonl has all.</p>` : undefined; // prettier-ignore
  const counts = Object.entries(report.counts).map(([type, count]) => `${type}: ${count}`).join(", "); // prettier-ignore
  return markup`<p class="muted">${counts}</p>
    ${more}
    <details>
      <summary>Events</summary>
      ${renderEvents(report.timeline, report.analysis.created)}
    </details>`;
}

function renderPictures(files: readonly string[], folder: string): Markup {
  const pictures = files.slice(0, MOST_PICTURES).map((file) => {
    const picture = findPicture(folder, file);
    if (picture === undefined) return markup`<p class="muted">${file} is not shown here</p>`;
    return markup`<figure>
      <img alt="${file}" src="data:image/png;base64,${picture}" />
      <figcaption>${file}</figcaption>
    </figure>`;
  });
  return markup`<details open>
    <summary>Pictures</summary>
    ${pictures}
  </details>`;
}

/** Reads a picture; undefined when it is not there, too large, or not in the folder itself. */
function findPicture(folder: string, file: string): string | undefined {
  try {
    const path = realpathSync(join(folder, file));
    if (!path.startsWith(`${realpathSync(folder)}/`) || statSync(path).size > LARGEST_PICTURE) return undefined;
    return readFileSync(path).toString("base64");
  } catch {
    return undefined;
  }
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

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Returns a time as seconds after the beginning. */
function since(time: string, start: string): string {
  return `${((Date.parse(time) - Date.parse(start)) / 1000).toFixed(3)} s`;
}

/**
 * Writes report.json and report.html of an analysis from what is in its folder, and navigator.json where a technique was found.
 *
 * @param verdict what signatures and rules say
 */
export function writeReport(folder: string, record: AnalysisRecord, verdict?: Verdict): void {
  if (verdict !== undefined && verdict.findings.some(({ techniques }) => techniques.length > 0)) {
    const layer = createNavigatorLayer(verdict, `Analysis ${record.id}`);
    writeWhole(join(folder, "navigator.json"), `${JSON.stringify(layer, undefined, 2)}\n`);
  }
  const report = gatherReport(folder, record, verdict);
  writeWhole(join(folder, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  writeWhole(join(folder, "report.html"), renderReportPage(report, folder));
}
