import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { FoundAnalysis } from "../../lab/analysis/search/search-analyses";
import { stateOf, titleOf } from "../api/analysis-schema";
import { renderTime } from "./layout";

/** Renders analyses as a table. @param caption of the table, for who cannot see it */
export function renderAnalyses(analyses: readonly FoundAnalysis[], caption: string): Markup {
  if (analyses.length === 0) return markup`<p class="muted">None.</p>`;
  const rows = analyses.map(
    (each) => markup`<tr>
<td class="number"><a href="/analyses/${each.id}">${each.id}</a></td>
<td>${renderState(each)}</td>
<td>${renderVerdictBadge(each)}</td>
<td><a href="/analyses/${each.id}">${titleOf(each)}</a>${each.targetName !== undefined && each.command !== undefined ? markup` <code class="muted">${each.command}</code>` : undefined}</td>
<td>${each.usedMachine ?? each.machine ?? markup`<span class="muted">any</span>`}</td>
<td class="word">${each.submission?.by ?? markup`<span class="muted">terminal</span>`}</td>
<td class="number">${renderTime(each.created)}</td>
</tr>`,
  );
  return markup`<div class="wide"><table class="list">
<caption class="hidden">${caption}</caption>
<thead><tr><th scope="col">No.</th><th scope="col">State</th><th scope="col">Verdict</th><th scope="col">Target</th><th scope="col">Machine</th><th scope="col">By</th><th scope="col">Created (UTC)</th></tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
}

/** Renders the state of an analysis. */
export function renderState(found: FoundAnalysis): Markup {
  const state = stateOf(found);
  const text = state === "running" ? found.phase : state;
  return markup`<span class="badge ${state}" title="${found.reason}">${text}</span>`;
}

/** Renders the verdict of an analysis, or that it has ended without one. */
export function renderVerdictBadge({ score, judgement, outcome, reason }: FoundAnalysis): Markup {
  if (score === undefined)
    return markup`<span class="muted" title="${outcome === undefined ? undefined : reason}">${outcome === undefined ? "–" : "no verdict"}</span>`;
  return markup`<span class="badge ${judgement}">${score.toFixed(1)} ${judgement}</span>`;
}
