import type { AnalysisComparison, ComparedAnalysis } from "../../lab/analysis/compare/compare-analyses";
import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { Caller } from "../accounts/roles";
import { renderPage } from "./layout";

const MOST_ACTS = 1_000;

/** Renders the page with what one target did and another did not. */
export function renderComparePage(caller: Caller, { analyses, both }: AnalysisComparison): string {
  const [one, other] = analyses;
  return renderPage({
    ...{ title: `${one.id} and ${other.id}`, caller },
    content: markup`<h1>Analyses ${one.id} and ${other.id}</h1>
<p class="muted">${both} acts are in both. Pids, times and random names do not count as differences.</p>
<div class="columns">${renderSide(one)}${renderSide(other)}</div>`,
  });
}

function renderSide({ id, title, outcome, score, only, findings }: ComparedAnalysis): Markup {
  const rows = only.slice(0, MOST_ACTS).map(({ type, process, facts, count }) => markup`<tr><td>${type}</td><td>${process}</td><td class="code">${facts}</td><td class="number">${count}</td></tr>`); // prettier-ignore
  const fired = findings.length === 0 ? undefined : markup`<h3>Fired only here</h3><ul>${findings.map((finding) => markup`<li>${finding}</li>`)}</ul>`; // prettier-ignore
  return markup`<section class="card"><h2><a href="/analyses/${id}">${id}: ${title}</a></h2>
<p class="muted">${outcome ?? "not ended"}, ${score === undefined ? "no verdict" : `score ${score.toFixed(1)}`}; ${only.length} acts are only here</p>${fired}
${rows.length === 0 ? undefined : markup`<div class="wide"><table><caption class="hidden">Acts only in ${id}</caption><thead><tr><th scope="col">Act</th><th scope="col">Process</th><th scope="col">Facts</th><th scope="col">Times</th></tr></thead><tbody>${rows}</tbody></table></div>`}
${only.length > rows.length ? markup`<p class="muted">${only.length - rows.length} more: the API has them.</p>` : undefined}</section>`;
}
