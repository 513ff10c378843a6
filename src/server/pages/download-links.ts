import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { ReportSummary } from "../../lab/analysis/report/report-summary";
import { formatBytes } from "./layout";

const MOST_ROWS = 200;

/** The files of an analysis that are there for download. */
export interface Downloads {
  readonly hasReport: boolean;
  readonly hasTarget: boolean;
  readonly hasArtefacts: boolean;
  readonly hasVerdict: boolean;
}

/** Renders the links to what an analysis has left. */
export function renderDownloads(id: number, { hasReport, hasTarget, hasArtefacts, hasVerdict }: Downloads): Markup {
  const base = `/api/v1/analyses/${id}`;
  const links = [
    ["All results", `${base}/export/zip`, "zip", true],
    ["Artefacts", `${base}/artefacts`, "zip", hasArtefacts],
    ["Target", `${base}/target`, "zip", hasTarget],
    ["Report", `${base}/report.json`, "JSON", hasReport],
    ["Report on paper", `${base}/export/pdf`, "PDF", hasReport],
    ["Events", `${base}/files/events.jsonl`, "JSON lines", hasReport],
    ["MISP event", `${base}/export/misp`, "JSON", hasReport],
    ["ATT&CK Navigator layer", `${base}/export/navigator`, "JSON", hasVerdict],
    ["Perfetto trace", `${base}/export/perfetto`, "protobuf", hasReport],
  ] as const;
  const shown = links.filter(([, , , isThere]) => isThere);
  return markup`<ul>${shown.map(([text, path, kind]) => markup`<li><a href="${path}">${text}</a> <span class="muted">${kind}</span></li>`)}</ul>
<p class="hint">Archives have the password "infected": what is in them may be malware.</p>`;
}

/** Counts what was kept of a target. */
export function countArtefacts({
  artefacts,
  cores,
  code,
}: Pick<ReportSummary, "artefacts" | "cores" | "code">): number {
  return artefacts.length + cores.length + code.length;
}

/** Renders the files that a target wrote, code that it unpacked and the memory of its processes, each with a link to an archive that has it. */
export function renderArtefactLinks(
  id: number,
  { artefacts, cores, code }: Pick<ReportSummary, "artefacts" | "cores" | "code">,
): Markup {
  const link = (file: string, text: string) => markup`<a class="code" href="/api/v1/analyses/${id}/files/${file}">${text}</a> <a href="/analyses/${id}/look/${file}">look inside</a>`; // prettier-ignore
  const files = artefacts.slice(0, MOST_ROWS).map(
    ({ path, size, sha256, left, description }) => markup`<tr><td class="code">${path}</td><td class="number">${formatBytes(size)}</td><td>${description}</td><td>${sha256 === undefined ? markup`<span class="bad">left out: ${left}</span>` : link(`artefacts/${sha256}`, sha256.slice(0, 16))}</td></tr>`, // prettier-ignore
  );
  const memory = cores.slice(0, MOST_ROWS).map(
    ({ process, pid, size = 0, core, left }) => markup`<tr><td>memory of ${process} <span class="muted">${pid}</span></td><td class="number">${formatBytes(size)}</td><td>ELF core</td><td>${core === undefined ? markup`<span class="bad">left out: ${left}</span>` : link(`cores/${core}`, core)}</td></tr>`, // prettier-ignore
  );
  const written = code.slice(0, MOST_ROWS).map(
    ({ process, pid, layer, size = 0, raw, left }) => markup`<tr><td>code of ${process} <span class="muted">${pid}</span>, layer ${layer}</td><td class="number">${formatBytes(size)}</td><td>written at run time</td><td>${raw === undefined ? markup`<span class="bad">left out: ${left}</span>` : link(`code/${raw}`, raw)}</td></tr>`, // prettier-ignore
  );
  const more = artefacts.length + cores.length + code.length - files.length - memory.length - written.length;
  return markup`<div class="wide"><table><caption class="hidden">Files that the target wrote, and its memory</caption><thead><tr><th scope="col">Path</th><th scope="col">Size</th><th scope="col">Type</th><th scope="col">Download</th></tr></thead><tbody>${files}${written}${memory}</tbody></table></div>
${more > 0 ? markup`<p class="muted">${more} more are in the archive of all artefacts.</p>` : undefined}`;
}
