import type { Artefact, CodeArtefact, CoreArtefact } from "./artefacts";
import { type Markup, markup } from "./markup";

const MOST_ROWS = 1_000;
const MOST_MOMENTS = 5;

/** The part of a report that was kept of the target. */
interface KeptThings {
  readonly artefacts: readonly Artefact[];
  readonly cores: readonly CoreArtefact[];
  readonly code: readonly CodeArtefact[];
}

/** Renders the files that the target wrote, each content with where it was and when, code that it unpacked, and the memory of its processes. */
export function renderArtefacts({ artefacts, cores, code }: KeptThings, since: (time: string) => string): Markup {
  const files = artefacts.length === 0 ? undefined : renderFiles(artefacts, since);
  const memory = cores.length === 0 ? undefined : renderCores(cores, since);
  const written = code.length === 0 ? undefined : renderCode(code, since);
  return markup`${files}${written}${memory}`;
}

function renderCode(code: readonly CodeArtefact[], since: (time: string) => string): Markup {
  const rows = code.slice(0, MOST_ROWS).map(
    ({ time, pid, process, layer, entry, start, end, size, raw, core, left }) =>
      markup`<tr>
        <td class="muted">${since(time)}</td>
        <td>${process} <span class="muted">${pid}</span></td>
        <td>${layer}</td>
        <td class="code">${entry} <span class="muted">in ${start}-${end}</span></td>
        <td>${size}</td>
        <td class="code">${raw}<div>${core}</div>${left === undefined ? undefined : markup`<span class="bad">left out: ${left}</span>`}</td>
      </tr>`,
  );
  return markup`<h3>Code that was written at run time <span class="muted">${code.length}</span></h3>
    <table>
      <tr>
        <th>executed</th>
        <th>process</th>
        <th>layer</th>
        <th>entry point</th>
        <th>bytes</th>
        <th>its names in code/</th>
      </tr>
      ${rows}
    </table>`;
}

function renderCores(cores: readonly CoreArtefact[], since: (time: string) => string): Markup {
  const rows = cores.slice(0, MOST_ROWS).map(
    ({ time, pid, process, core, threads, size, left }) =>
      markup`<tr>
        <td class="muted">${since(time)}</td>
        <td>${process} <span class="muted">${pid}</span></td>
        <td>${size}</td>
        <td>${threads}</td>
        <td class="code">${core ?? markup`<span class="bad">left out: ${left}</span>`}</td>
      </tr>`,
  );
  return markup`<h3>Memory of processes at their ends <span class="muted">${cores.length}</span></h3>
    <table>
      <tr>
        <th>ended</th>
        <th>process</th>
        <th>bytes</th>
        <th>threads</th>
        <th>its name in cores/</th>
      </tr>
      ${rows}
    </table>`;
}

function renderFiles(artefacts: readonly Artefact[], since: (time: string) => string): Markup {
  const rows = artefacts
    .slice(0, MOST_ROWS)
    .map(({ path, size, sha256, left, missing, mime, description, moments }) => {
      const shown = moments
        .slice(0, MOST_MOMENTS)
        .map(
          ({ time, moment, pid, process }) =>
            markup`<div>${since(time)} ${moment} <span class="muted">${process} ${pid}</span></div>`,
        );
      const more = moments.length - shown.length;
      const lacks =
        missing === undefined ? undefined : markup`<div class="bad">${missing} bytes could not be read</div>`;
      return markup`<tr>
      <td class="code">${path}</td>
      <td>${size}</td>
      <td>${mime}<div class="muted">${description}</div></td>
      <td class="code">${sha256 ?? markup`<span class="bad">left out: ${left}</span>`}${lacks}</td>
      <td>${shown}${more > 0 ? `and ${more} times more` : undefined}</td>
    </tr>`;
    });
  const left = artefacts.length - rows.length;
  return markup`<table>
      <tr>
        <th>path</th>
        <th>bytes</th>
        <th>type</th>
        <th>SHA-256, its name in artefacts/</th>
        <th>when</th>
      </tr>
      ${rows}
    </table>
    ${left > 0 ? markup`<p>${left} more are in report.json.</p>` : undefined}`;
}
