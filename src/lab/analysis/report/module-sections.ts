import { type Markup, markup } from "./markup";
import type { NameQuestion } from "./network/name-questions";
import type { WebRequest } from "./network/web-requests";
import type { CalledProcess, ModuleResults, UsageRow } from "./module-results";

const MOST_ROWS = 1_000;
const MOST_CALLS = 40;
/** Of the drawing of a measurement over time, in pixels. */
const CHART = { width: 640, height: 60 };

/** Renders the conversations of the network, those of each file. */
export function renderCaptures({ captures }: Pick<ModuleResults, "captures">, since: (time: string) => string): Markup {
  return markup`${captures.map(({ file, frames, flows, more, names, isCut }) => {
    const rows = flows.slice(0, MOST_ROWS).map(
      (flow) =>
        markup`<tr>
          <td class="muted">${since(flow.began)}</td>
          <td>${flow.protocol}</td>
          <td class="code">${end(flow.source, flow.sourcePort)}</td>
          <td class="code">${end(flow.destination, flow.destinationPort)}</td>
          <td>${flow.frames}</td>
          <td>${flow.bytes}</td>
          <td>${flow.process}</td>
        </tr>`,
    );
    const left = more + flows.length - rows.length;
    return markup`<h3>${file} <span class="muted">${frames} frames</span></h3>
      ${isCut ? markup`<p class="bad">The file is cut off.</p>` : undefined}
      <table class="flows">
        <tr>
          <th>began</th>
          <th></th>
          <th>from</th>
          <th>to</th>
          <th>frames</th>
          <th>bytes</th>
          <th>process</th>
        </tr>
        ${rows}
      </table>
      ${left > 0 ? markup`<p>${left} frames more are of other conversations.</p>` : undefined}
      ${names.length > 0 ? renderNames(names, since) : undefined}`;
  })}`;
}

function renderNames(names: readonly NameQuestion[], since: (time: string) => string): Markup {
  const rows = names.slice(0, MOST_ROWS).map(
    ({ name, type, process, began, count }) =>
      markup`<tr>
        <td class="muted">${since(began)}</td>
        <td class="code">${name}</td>
        <td>${type}</td>
        <td>${count}</td>
        <td>${process}</td>
      </tr>`,
  );
  return markup`<h4>Names that were asked for <span class="muted">${names.length}</span></h4>
    <table class="names">
      <tr>
        <th>first</th>
        <th>name</th>
        <th>type</th>
        <th>times</th>
        <th>process</th>
      </tr>
      ${rows}
    </table>`;
}

/** Renders the pages that were asked for in a simulated network; nothing when none was. */
export function renderWebRequests(requests: readonly WebRequest[]): Markup {
  if (requests.length === 0) return markup``;
  const rows = requests.map(
    ({ method, url, count }) =>
      markup`<tr>
        <td>${method}</td>
        <td class="code">${url}</td>
        <td>${count}</td>
      </tr>`,
  );
  return markup`<h3>Pages that were asked for <span class="muted">${requests.length}</span></h3>
    <table class="pages">
      <tr>
        <th></th>
        <th>page</th>
        <th>times</th>
      </tr>
      ${rows}
    </table>`;
}

/** Renders what each process called. */
export function renderCalls(processes: readonly CalledProcess[]): Markup {
  const rows = processes.slice(0, MOST_ROWS).map(({ pid, name, calls }) => {
    const shown = calls.slice(0, MOST_CALLS).map(([call, count]) => `${call} ${count}`);
    const more = calls.length > MOST_CALLS ? `, and ${calls.length - MOST_CALLS} others` : "";
    return markup`<tr>
      <td><code>${pid}</code></td>
      <td>${name}</td>
      <td>${calls.reduce((sum, [, count]) => sum + count, 0)}</td>
      <td class="code">${shown.join(", ")}${more}</td>
    </tr>`;
  });
  return markup`<table>
    ${rows}
  </table>`;
}

/** Renders measurements over time, each as a line, and its smallest and largest value. */
export function renderUsage(rows: readonly UsageRow[]): Markup {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) =>
    rows.some((row) => typeof row[name] === "number"),
  );
  const charts = names.map((name) => {
    const values = rows.map((row) => row[name]).filter((value): value is number => Number.isFinite(value));
    const [low, high] = values.reduce(([min, max], value) => [Math.min(min, value), Math.max(max, value)], [Infinity, -Infinity]); // prettier-ignore
    return markup`<figure>
      <figcaption>${name} <span class="muted">${low} to ${high}</span></figcaption>
      <svg viewBox="0 0 ${CHART.width} ${CHART.height}" role="img" aria-label="${name}">
        <polyline fill="none" stroke="currentColor" points="${drawLine(values, high)}" />
      </svg>
    </figure>`;
  });
  return markup`${charts}`;
}

function drawLine(values: readonly number[], high: number): string {
  const { width, height } = CHART;
  const x = (index: number) => (values.length < 2 ? 0 : (index * width) / (values.length - 1)).toFixed(1);
  const y = (value: number) => (height - 1 - (high <= 0 ? 0 : (value * (height - 2)) / high)).toFixed(1);
  return values.map((value, index) => `${x(index)},${y(value)}`).join(" ");
}

function end(address: string, port: number): string {
  if (port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
