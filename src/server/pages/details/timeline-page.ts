import { since } from "../../../lab/analysis/report/event-rows";
import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { ReportedProcess } from "../../../lab/analysis/report/gather-events";
import type { ReportSummary } from "../../../lab/analysis/report/report-summary";
import type { FoundAnalysis } from "../../../lab/analysis/search/search-analyses";
import type { Caller } from "../../accounts/roles";
import { titleOf } from "../../api/analysis-schema";
import type { Stretch, Timeline } from "../../results/timeline";
import { renderTabs } from "../analysis-page";
import { renderPage } from "../layout";

/** Of the drawing, in its own units. */
const WIDTH = 900;
const NAMES_WIDTH = 130;
const LANE_HEIGHT = 26;
const GAP = 4;
/** The kinds of events that have a lane of their own; the rest share the last one. */
const MOST_LANES = 7;
const REST = "other";
const MOST_PROCESSES = 40;
const LONGEST_NAME = 18;

/** A lane of the drawing. */
interface Lane {
  readonly name: string;
  readonly marks: readonly Mark[];
  /** The mouse reaches the column behind the marks, which leads to events; else the mark, which has a title. */
  readonly isThrough?: boolean;
}

/** A piece of a lane; times in milliseconds since 1970. */
interface Mark {
  readonly fromMs: number;
  readonly toMs: number;
  /** Of the lane's height: 0 to 1. */
  readonly height: number;
  readonly title: string;
}

/** Renders what happened when in an analysis; each stretch of it leads to its events. @param summary undefined without a report */
export function renderTimelinePage(
  caller: Caller,
  found: FoundAnalysis,
  timeline: Timeline,
  summary: ReportSummary | undefined,
): string {
  const { stretches } = timeline;
  return renderPage({
    ...{ title: `Timeline of ${found.id}`, caller },
    content: markup`<h1>${titleOf(found)}</h1>
${renderTabs(found.id, "timeline")}
<section class="card"><h2>Timeline</h2>${
      stretches.length === 0 ? markup`<p class="muted">It has no events.</p>` : renderDrawing(found, timeline, summary)
    }</section>
${stretches.length === 0 ? undefined : markup`<section class="card"><h2>Moments</h2>${renderMoments(found, stretches)}</section>`}`,
  });
}

/** Renders the drawing. It is for the eye and the mouse; the table of moments has the same for all others. */
function renderDrawing(found: FoundAnalysis, timeline: Timeline, summary: ReportSummary | undefined): Markup {
  const { startMs, endMs, stretches } = timeline;
  const lanes = [
    ...listPhases(timeline, summary),
    ...listFindings(summary),
    ...listKinds(stretches, endMs),
    ...listProcesses(timeline, summary),
  ];
  const height = lanes.length * LANE_HEIGHT;
  const toX = (timeMs: number) => NAMES_WIDTH + ((Math.min(endMs, Math.max(startMs, timeMs)) - startMs) / Math.max(1, endMs - startMs)) * (WIDTH - NAMES_WIDTH); // prettier-ignore
  const rows = lanes.map((lane, at) => renderLane(lane, at, toX));
  const columns = stretches.map(({ startMs: from, offset }, at) => {
    if (offset === undefined) return markup``;
    const [x, to] = [toX(from), toX(stretches[at + 1]?.startMs ?? endMs)];
    return markup`<a href="/analyses/${found.id}/events?after=${offset}" tabindex="-1"><rect class="moment" x="${x.toFixed(1)}" y="0" width="${Math.max(1, to - x).toFixed(1)}" height="${height}"><title>${since(new Date(from).toISOString(), found.created)}: its events</title></rect></a>`;
  });
  return markup`<div class="wide"><svg class="timeline" viewBox="0 0 ${WIDTH} ${height}" aria-hidden="true">${columns}${rows}</svg></div>
<p class="hint">From ${since(new Date(startMs).toISOString(), found.created)} to ${since(new Date(endMs).toISOString(), found.created)}. The height of a mark is the logarithm of how many events there are; a column leads to its events.</p>`;
}

function renderLane({ name, marks, isThrough }: Lane, at: number, toX: (timeMs: number) => number): Markup {
  const [top, room] = [at * LANE_HEIGHT + GAP / 2, LANE_HEIGHT - GAP];
  const shown = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
  const rects = marks.map(({ fromMs, toMs, height, title }) => {
    const [x, to] = [toX(fromMs), toX(toMs)];
    const tall = Math.max(2, room * height);
    return markup`<rect x="${x.toFixed(1)}" y="${(top + room - tall).toFixed(1)}" width="${Math.max(1.5, to - x).toFixed(1)}" height="${tall.toFixed(1)}"><title>${title}</title></rect>`;
  });
  return markup`<g class="lane${isThrough === true ? " through" : ""}"><text x="0" y="${top + room * 0.7}">${shown}</text>${rects}</g>`;
}

/** The phases of an analysis, each of which ends where the next begins. */
function listPhases({ endMs }: Timeline, summary: ReportSummary | undefined): Lane[] {
  const phases = summary?.analysis.phases ?? [];
  return phases.map(({ phase, began }, at) => {
    const next = phases[at + 1]?.began;
    const [fromMs, toMs] = [Date.parse(began), next === undefined ? endMs : Date.parse(next)];
    return { name: phase, marks: [{ fromMs, toMs, height: 0.5, title: `${phase}: ${Math.max(0, toMs - fromMs)} ms` }] };
  });
}

function listFindings(summary: ReportSummary | undefined): Lane[] {
  const marks = (summary?.verdict?.findings ?? []).flatMap(
    ({ title, evidence }) =>
    evidence.map(({ time, text }) => ({ fromMs: Date.parse(time), toMs: Date.parse(time), height: 1, title: `${title}: ${text}` })), // prettier-ignore
  );
  return marks.length === 0 ? [] : [{ name: "findings", marks }];
}

/** The kinds of events, the commonest first. */
function listKinds(stretches: readonly Stretch[], endMs: number): Lane[] {
  const totals = new Map<string, number>();
  for (const { counts } of stretches)
    for (const [kind, count] of Object.entries(counts)) totals.set(kind, (totals.get(kind) ?? 0) + count);
  const kinds = [...totals].sort(([, one], [, other]) => other - one).map(([kind]) => kind);
  const [own, rest] = [kinds.slice(0, MOST_LANES), kinds.slice(MOST_LANES)];
  const groups = own.map((kind) => ({ name: kind, members: [kind] }));
  if (rest.length > 0) groups.push({ name: REST, members: rest });
  return groups.map(({ name, members }) => {
    const counts = stretches.map((stretch) => members.reduce((sum, kind) => sum + (stretch.counts[kind] ?? 0), 0));
    const most = Math.log1p(Math.max(...counts));
    const marks = counts.flatMap((count, at) => {
      if (count === 0) return [];
      const [fromMs, toMs] = [stretches[at]!.startMs, stretches[at + 1]?.startMs ?? endMs];
      return [{ fromMs, toMs, height: Math.log1p(count) / most, title: `${name}: ${count}` }];
    });
    return { name, marks, isThrough: true };
  });
}

function listProcesses({ endMs }: Timeline, summary: ReportSummary | undefined): Lane[] {
  return (summary?.processes ?? []).slice(0, MOST_PROCESSES).map((process: ReportedProcess) => {
    const { name, pid, began, ended, commandLine } = process;
    const toMs = ended === undefined ? endMs : Date.parse(ended);
    return { name: `${pid} ${name}`, marks: [{ fromMs: Date.parse(began), toMs, height: 0.6, title: `${pid} ${commandLine ?? name}` }] }; // prettier-ignore
  });
}

function renderMoments({ id, created }: FoundAnalysis, stretches: readonly Stretch[]): Markup {
  const rows = stretches.flatMap(({ startMs, offset, counts }) => {
    if (offset === undefined) return [];
    const shown = Object.entries(counts).sort(([, one], [, other]) => other - one).map(([kind, count]) => `${kind} ${count}`); // prettier-ignore
    return [markup`<tr><td class="number"><a href="/analyses/${id}/events?after=${offset}">${since(new Date(startMs).toISOString(), created)}</a></td><td>${shown.join(", ")}</td></tr>`]; // prettier-ignore
  });
  return markup`<div class="events" tabindex="0" role="region" aria-label="Moments"><table><caption class="hidden">Stretches of time with their numbers of events</caption><thead><tr><th scope="col">From</th><th scope="col">Events</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}
