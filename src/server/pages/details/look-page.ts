import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { FoundAnalysis } from "../../../lab/analysis/search/search-analyses";
import type { Caller } from "../../accounts/roles";
import { titleOf } from "../../api/analysis-schema";
import { type FileLook, type FoundString, SHOWN_BYTES } from "../../results/look-file";
import { renderTabs } from "../analysis-page";
import { formatBytes, renderField, renderPage } from "../layout";

const LINE_BYTES = 16;
const OFFSET_DIGITS = 8;

/** A file of an analysis that is looked into. */
export interface LookedFile {
  /** Relative to the folder of the analysis. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly look: FileLook;
}

/** Renders a part of a file in hexadecimal, with the texts in it: nothing of it is ever more than text. */
export function renderLookPage(caller: Caller, found: FoundAnalysis, { name, size, look }: LookedFile): string {
  const { offset, bytes, strings, stringsEnd } = look;
  const place = `/analyses/${found.id}/look/${name.split("/").map(encodeURIComponent).join("/")}`;
  const link = (at: number, text = toOffset(at)) => markup`<a href="${place}?at=${Math.max(0, at)}">${text}</a>`;
  const end = offset + bytes.length;
  const last = Math.floor(Math.max(0, size - 1) / SHOWN_BYTES) * SHOWN_BYTES;
  const steps = [
    offset > 0 ? link(0, "First") : undefined,
    offset > 0 ? link(offset - SHOWN_BYTES, "Before") : undefined,
    end < size ? link(end, "Next") : undefined,
    end < size ? link(last, "Last") : undefined,
  ];
  const shown = bytes.length === 0 ? markup`<p class="muted">There is nothing at this place.</p>` : markup`<pre class="code hex" tabindex="0" role="region" aria-label="Bytes in hexadecimal">${toHexLines(bytes, offset)}</pre>`; // prettier-ignore
  return renderPage({
    ...{ title: `${name} of ${found.id}`, caller },
    content: markup`<h1>${titleOf(found)}</h1>
${renderTabs(found.id, "overview")}
<section class="card"><div class="row top"><h2>${name}</h2><a href="/api/v1/analyses/${found.id}/files/${name.split("/").map(encodeURIComponent).join("/")}">Download</a></div>
<p class="muted">${formatBytes(size)}; bytes ${offset} to ${end}</p>
<form method="get" action="${place}" class="grid">${renderField("at", "From byte", { value: offset, hint: "In decimal, or 0x in hexadecimal." })}<div class="field act"><button>Show</button></div></form>
<nav class="row" aria-label="Parts of the file">${steps}</nav>
${shown}</section>
<section class="card"><h2>Texts <span class="muted">up to byte ${stringsEnd}</span></h2>${renderStrings(strings, link)}</section>`,
  });
}

/** Renders texts that were found, each with a link to its place. */
export function renderStrings(strings: readonly FoundString[], link: (offset: number) => Markup): Markup {
  if (strings.length === 0) return markup`<p class="muted">None.</p>`;
  const rows = strings.map(({ offset, isWide, text }) => markup`<tr><td class="number">${link(offset)}</td><td>${isWide ? "wide" : undefined}</td><td class="code">${text}</td></tr>`); // prettier-ignore
  return markup`<div class="wide"><table><caption class="hidden">Texts in the file</caption><thead><tr><th scope="col">Byte</th><th scope="col">Kind</th><th scope="col">Text</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** Writes bytes as hexdump(1) does: their place, their values, and the characters among them. @param start the place of the first one */
export function toHexLines(bytes: Uint8Array, start: number | bigint): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += LINE_BYTES) {
    const line = Buffer.from(bytes.subarray(at, at + LINE_BYTES));
    const values = [...line].map((value) => value.toString(16).padStart(2, "0"));
    const shown = line.toString("latin1").replace(/[^\x20-\x7e]/g, ".");
    lines.push(`${toOffset(BigInt(start) + BigInt(at))}  ${values.join(" ").padEnd(LINE_BYTES * 3)} ${shown}`);
  }
  return lines.join("\n");
}

function toOffset(offset: number | bigint): string {
  return offset.toString(16).padStart(OFFSET_DIGITS, "0");
}
