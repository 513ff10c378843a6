import { renderEvent, since } from "../../../lab/analysis/report/event-rows";
import { type Markup, markup, renderFacts } from "../../../lab/analysis/report/markup";
import type { ReportedProcess } from "../../../lab/analysis/report/gather-events";
import type { CalledProcess } from "../../../lab/analysis/report/module-results";
import type { ReportSummary } from "../../../lab/analysis/report/report-summary";
import type { FoundAnalysis } from "../../../lab/analysis/search/search-analyses";
import type { Caller } from "../../accounts/roles";
import { titleOf } from "../../api/analysis-schema";
import type { ProcessDetails } from "../../results/process-details";
import { renderTabs } from "../analysis-page";
import { countArtefacts, renderArtefactLinks } from "../download-links";
import { renderPage } from "../layout";
import { renderMemory, renderStacks } from "./process-memory";

const MOST_CALLS = 200;

/** Renders a process of an analysis: who started it, what it called and did, what led to that, and what was kept of it. */
export function renderProcessPage(
  caller: Caller,
  found: FoundAnalysis,
  summary: ReportSummary,
  process: ReportedProcess,
  details: ProcessDetails,
): string {
  const { pid, name } = process;
  const kept = keepOf(summary, pid);
  const isPidShared = summary.processes.some((other) => other.id !== process.id && other.pid === pid);
  const shared = isPidShared ? markup`<p class="notice">Another process of the target had the pid ${pid} too: calls and files are those of both.</p>` : undefined; // prettier-ignore
  const rows = details.events.map((event) => renderEvent(event, found.created));
  const events = markup`<div class="wide"><table><caption class="hidden">Its first events</caption><thead><tr><th scope="col">After</th><th scope="col">Event</th><th scope="col">Facts</th></tr></thead><tbody>${rows}</tbody></table></div>`;
  return renderPage({
    ...{ title: `${name} ${pid} of ${found.id}`, caller },
    content: markup`<h1>${titleOf(found)}</h1>
${renderTabs(found.id, "overview")}
<section class="card facts"><h2>Process ${pid}: ${name}</h2>${renderAbout(found, summary, process)}</section>
${shared}
${renderStacks(found.id, details.stacks, found.created, details.memory)}
${details.memory.map((memory) => renderMemory(found.id, memory))}
<div class="columns">${renderCalls("System calls", details.systemCalls)}${renderCalls("Calls of libraries", details.libraryCalls)}</div>
${countArtefacts(kept) === 0 ? undefined : markup`<section class="card"><h2>Files and memory <span class="muted">${countArtefacts(kept)}</span></h2>${renderArtefactLinks(found.id, kept)}</section>`}
<section class="card"><h2>Events</h2>${rows.length === 0 ? markup`<p class="muted">None.</p>` : events}
<p><a href="/analyses/${found.id}/events?pid=${pid}">All events of pid ${pid}</a></p></section>`,
  });
}

function renderAbout({ id, created }: FoundAnalysis, { processes }: ReportSummary, process: ReportedProcess): Markup {
  const { commandLine, executable, sha256, unhashed, ppid, parent, began, ended, adoptedBy, origin } = process;
  const link = ({ id: number, pid, name }: ReportedProcess) => markup`<a href="/analyses/${id}/processes/${number}">${pid} ${name}</a> `; // prettier-ignore
  const above = processes.find((other) => other.id === parent);
  const below = processes.filter((other) => other.parent === process.id);
  return renderFacts([
    ["Command line", commandLine && markup`<code>${commandLine}</code>`],
    ["Program", executable && markup`<code>${executable}</code>`],
    ["SHA-256 of the program", sha256 === undefined ? unhashed && `none: ${unhashed}` : markup`<code>${sha256}</code>`],
    ["Started by", above === undefined ? ppid : link(above)],
    ["Has started", below.length === 0 ? undefined : markup`${below.slice(0, MOST_CALLS).map(link)}`],
    ["Began", since(began, created)],
    ["Ended", ended === undefined ? undefined : since(ended, created)],
    ["Whose", origin],
    ["Acts for the target by", adoptedBy],
  ]);
}

function renderCalls(title: string, called: CalledProcess | undefined): Markup | undefined {
  if (called === undefined) return undefined;
  const rows = called.calls.slice(0, MOST_CALLS).map(([name, count]) => markup`<tr><td class="code">${name}</td><td class="number">${count}</td></tr>`); // prettier-ignore
  return markup`<section class="card"><h2>${title}</h2><table><caption class="hidden">${title}</caption><thead><tr><th scope="col">Name</th><th scope="col">Times</th></tr></thead><tbody>${rows}</tbody></table></section>`;
}

/** Takes what was kept of a process: files that it wrote, and its memory. */
function keepOf({ artefacts, cores, code }: ReportSummary, wanted: number) {
  return {
    artefacts: artefacts.filter(({ moments }) => moments.some(({ pid }) => pid === wanted)),
    cores: cores.filter(({ pid }) => pid === wanted),
    code: code.filter(({ pid }) => pid === wanted),
  };
}
