import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { FoundAnalysis } from "../../../lab/analysis/search/search-analyses";
import type { Caller } from "../../accounts/roles";
import { titleOf } from "../../api/analysis-schema";
import type { MemoryLook } from "../../results/look-memory";
import { renderTabs } from "../analysis-page";
import { renderField, renderPage } from "../layout";
import { renderStrings, toHexLines } from "./look-page";

/** Renders a part of the memory of a process in hexadecimal, with the texts in it. @param name the core, relative to the folder of the analysis */
export function renderMemoryPage(caller: Caller, found: FoundAnalysis, name: string, look: MemoryLook): string {
  const { address, bytes, mapping, strings, stringsEnd, before, next } = look;
  const link = (at: bigint, text: string) => markup`<a href="${memoryPath(found.id, name, at)}">${text}</a>`;
  const end = address + BigInt(bytes.length);
  return renderPage({
    ...{ title: `Memory ${name} of ${found.id}`, caller },
    content: markup`<h1>${titleOf(found)}</h1>
${renderTabs(found.id, "overview")}
<section class="card"><div class="row top"><h2>Memory in ${name}</h2><a href="/api/v1/analyses/${found.id}/files/${name}">Download</a></div>
<p class="muted">${toAddress(address)} to ${toAddress(end)}${mapping === undefined ? undefined : renderPlace(mapping)}</p>
<form method="get" action="${memoryPath(found.id, name)}" class="grid">${renderField("at", "From address", { value: toAddress(address), hint: "In hexadecimal; the next that was in memory is shown." })}<div class="field act"><button>Show</button></div></form>
<nav class="row" aria-label="Parts of the memory">${before === undefined ? undefined : link(before, "Before")}${next === undefined ? undefined : link(next, "Next")}</nav>
<pre class="code hex" tabindex="0" role="region" aria-label="Bytes in hexadecimal">${toHexLines(bytes, address)}</pre></section>
<section class="card"><h2>Texts <span class="muted">up to ${toAddress(stringsEnd)}</span></h2>${renderStrings(strings, (offset) => link(address + BigInt(offset), toAddress(address + BigInt(offset))))}</section>`, // prettier-ignore
  });
}

function renderPlace({ start, permissions, path }: NonNullable<MemoryLook["mapping"]>): Markup {
  return markup`, in the memory from ${toAddress(start)} on, ${permissions} <span class="code">${path}</span>`;
}

/** Returns the address of the page that shows memory. @param at undefined for the place that was executed last */
export function memoryPath(id: number, name: string, at?: bigint): string {
  return `/analyses/${id}/memory/${name}${at === undefined ? "" : `?at=${toAddress(at)}`}`;
}

/** Writes an address as debuggers do. */
export function toAddress(address: bigint): string {
  return `0x${address.toString(16)}`;
}
