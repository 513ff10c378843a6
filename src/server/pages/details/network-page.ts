import { since } from "../../../lab/analysis/report/event-rows";
import { markup } from "../../../lab/analysis/report/markup";
import type { NetworkResults } from "../../../lab/analysis/report/module-results";
import { renderCaptures, renderWebRequests } from "../../../lab/analysis/report/module-sections";
import type { FoundAnalysis } from "../../../lab/analysis/search/search-analyses";
import type { Caller } from "../../accounts/roles";
import { titleOf } from "../../api/analysis-schema";
import { renderTabs } from "../analysis-page";
import { renderPage } from "../layout";

/** Renders the conversations of an analysis on the network, as its frames have them, and what was asked for in them. */
export function renderNetworkPage(caller: Caller, found: FoundAnalysis, network: NetworkResults): string {
  const { id, created } = found;
  const { captures, webRequests } = network;
  const files = captures.map(({ file }) => markup`<a href="/api/v1/analyses/${id}/files/${file}?raw=yes">${file}</a> `);
  const shown =
    captures.length === 0
      ? markup`<p class="muted">No frames were recorded: the machine has no network, or the module netcapture did not record them.</p>`
      : markup`${renderCaptures(network, (time) => since(time, created))}`;
  return renderPage({
    ...{ title: `Network of ${id}`, caller },
    content: markup`<h1>${titleOf(found)}</h1>
${renderTabs(id, "network")}
<section class="card"><div class="row top"><h2>Conversations</h2><span>${files}</span></div><div class="wide">${shown}${renderWebRequests(webRequests)}</div>
<p><a href="/analyses/${id}/events?type=network.">Acts of processes on the network</a></p></section>`,
  });
}
