import { markup } from "../../lab/analysis/report/markup";
import type { AnalysisQuery, FoundAnalysis } from "../../lab/analysis/search/search-analyses";
import type { Caller } from "../accounts/roles";
import { renderAnalyses } from "./analysis-table";
import { renderChoice, renderField, renderPage } from "./layout";

const STATES = ["waiting", "running", "finished", "failed", "cancelled", "lost"];
const JUDGEMENTS = ["malicious", "suspicious", "inconspicuous"];

/** Renders the page on which analyses are looked for. @param found undefined when nothing was asked for @param problem what is wrong with the question */
export function renderSearchPage(
  caller: Caller,
  query: AnalysisQuery,
  found: readonly FoundAnalysis[] | undefined,
  next: number | undefined,
  problem?: string,
): string {
  const any = (values: readonly string[]) => [["", "any"], ...values.map((value) => [value, value] as const)] as const;
  const older = next === undefined ? undefined : markup`<p><a href="/search?${toQuery(query, next)}">Older analyses</a></p>`; // prettier-ignore
  return renderPage({
    ...{ title: "Search", place: "/search", caller },
    content: markup`<h1>Search</h1>
<form method="get" action="/search" role="search" class="card grid">
${renderField("hash", "Hash of the target", { value: query.hash, hint: "MD5, SHA-1 or SHA-256" })}
${renderField("name", "Name or command", { value: query.name, hint: "A part of it." })}
${renderField("signature", "Signature or rule", { value: query.signature, hint: "A part of its name or title." })}
${renderField("technique", "ATT&CK technique", { value: query.technique, hint: "T1059 has T1059.004 too." })}
${renderField("indicator", "Address or domain", { value: query.indicator, hint: "That the target asked or reached for." })}
${renderField("text", "Text of its acts", { value: query.text, hint: "Words of paths, command lines, addresses, in their order." })}
${renderField("machine", "Machine", { value: query.machine })}
${renderChoice("state", "State", any(STATES), query.state)}
${renderChoice("judgement", "Verdict", any(JUDGEMENTS), query.judgement)}
<div class="field act"><button class="main">Search</button></div>
</form>
${problem === undefined ? undefined : markup`<p class="notice bad" role="alert">${problem}</p>`}
${found === undefined ? undefined : markup`<section class="card"><h2>Found</h2>${renderAnalyses(found, "Analyses that were found")}${older}</section>`}`,
  });
}

function toQuery(query: AnalysisQuery, before: number): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, before }))
    if (value !== undefined && value !== "") given.set(name, String(value));
  return given.toString();
}
