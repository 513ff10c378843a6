import { renderEvent } from "../../lab/analysis/report/event-rows";
import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { FoundAnalysis } from "../../lab/analysis/search/search-analyses";
import type { Caller } from "../accounts/roles";
import { titleOf } from "../api/analysis-schema";
import type { EventFilter, EventPage } from "../results/event-page";
import { renderTabs } from "./analysis-page";
import { renderField, renderPage } from "./layout";

/** Renders a page of the events of an analysis. */
export function renderEventsPage(caller: Caller, found: FoundAnalysis, filter: EventFilter, page: EventPage): string {
  const { id, created } = found;
  const rows = page.events.map(
    (event) => markup`${renderEvent(event, created)}${renderMoment(id, event["instructions"])}`,
  );
  const table = markup`<div class="wide"><table><caption class="hidden">Events in their order</caption><thead><tr><th scope="col">After</th><th scope="col">Event</th><th scope="col">Facts</th></tr></thead><tbody>${rows}</tbody></table></div>`;
  return renderPage({
    ...{ title: `Events of ${id}`, caller },
    content: markup`<h1>${titleOf(found)}</h1>
${renderTabs(id, "events")}
<section class="card">${renderFilter(id, filter)}</section>
<section class="card"><h2>Events</h2>${rows.length === 0 ? markup`<p class="muted">None.</p>` : table}
${page.next === undefined ? undefined : markup`<p><a href="/analyses/${id}/events?${toQuery(filter, page.next)}">Further events</a></p>`}</section>`,
  });
}

/** An event of a machine that was recorded leads to its moment. */
function renderMoment(id: number, count: unknown): Markup | undefined {
  if (!Number.isSafeInteger(count)) return undefined;
  return markup`<tr><td></td><td></td><td><a href="/recordings/analysis%3A${id}?at=${Number(count)}">go to this moment of the recording</a></td></tr>`;
}

function renderFilter(id: number, { type, pid, text }: EventFilter): Markup {
  return markup`<form method="get" action="/analyses/${id}/events" class="grid" role="search">
${renderField("type", "Type", { value: type, hint: 'Such as file.written; "file." for all that begin so.' })}
${renderField("pid", "Pid", { type: "number", value: pid })}
${renderField("text", "Text", { value: text, hint: "Capitals count." })}
<div class="field act"><button class="main">Show</button></div></form>`;
}

function toQuery({ type, pid, text }: EventFilter, after: number): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ type, pid, text, after }))
    if (value !== undefined && value !== "") query.set(name, String(value));
  return query.toString();
}
