import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { Caller } from "../../accounts/roles";
import type { ShownMachine, ShownMachines } from "../../machines/machine-watch";
import { renderButton, renderPage } from "../layout";
import { renderProblems } from "../submit-page";

/** Renders the page with the machines of a lab. */
export function renderMachinesPage(caller: Caller, { machines, problems }: ShownMachines): string {
  const rows = machines.map((machine) => renderRow(caller, machine));
  const table = markup`<div class="wide"><table class="list"><caption class="hidden">Machines</caption><thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">Platform</th><th scope="col">Machinery</th><th scope="col">Tags</th><th scope="col">Note</th><th scope="col"><span class="hidden">Action</span></th></tr></thead><tbody>${rows}</tbody></table></div>`;
  return renderPage({
    ...{ title: "Machines", place: "/machines", caller },
    content: markup`<h1>Machines</h1>
${renderProblems(problems)}
<div id="live" data-refresh="5000"><section class="card">${rows.length === 0 ? markup`<p class="muted">None: add one at the terminal, with rebox machine add.</p>` : table}</section></div>
<p class="muted small">A machine's page prepares, starts and stops it. Machines are added at the terminal: rebox machine add.</p>`,
  });
}

function renderRow(caller: Caller, machine: ShownMachine): Markup {
  const { name, state, platform, machinery, tags, note, isEnabled, isReserved, cloneOf } = machine;
  const path = `/machines/${encodeURIComponent(name)}`;
  const action = !caller.rights.has("administer")
    ? undefined
    : isEnabled
      ? renderButton(caller, `${path}/disable`, "Take out")
      : renderButton(caller, `${path}/enable`, "Put back");
  return markup`<tr><td><a href="${path}"><b>${name}</b></a>${cloneOf && markup` <span class="muted">clone of ${cloneOf}</span>`}${isReserved ? markup` <span class="badge">reserved</span>` : undefined}</td>
<td><span class="badge ${isEnabled ? (state === "running" ? "running" : "") : "failed"}">${isEnabled ? state : "out of the pool"}</span></td>
<td>${platform}</td><td>${machinery}</td><td>${tags.join(", ")}</td><td>${note}</td><td>${action}</td></tr>`;
}
