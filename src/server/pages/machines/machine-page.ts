import { type Markup, markup, renderFacts } from "../../../lab/analysis/report/markup";
import type { Caller } from "../../accounts/roles";
import type { MachineDetails } from "../../machines/machine-actions";
import type { MachineTask } from "../../machines/machine-tasks";
import { csrf, formatBytes, renderButton, renderField, renderPage, renderTime } from "../layout";
import { renderModuleChoice } from "./inquiry-page";
import { renderLive } from "../live-parts";
import { renderProblems } from "../submit-page";

/** Renders the page of a machine: its golden states, what is done with it, and its screen, console and the modules of questions while it runs. */
export function renderMachinePage(caller: Caller, details: MachineDetails, modules: readonly string[]): string {
  const { machine, problems, task } = details;
  const { name, state, cloneOf } = machine;
  const isManaged = caller.rights.has("administer");
  const path = `/machines/${encodeURIComponent(name)}`;
  return renderPage({
    ...{ title: `Machine ${name}`, place: "/machines", caller },
    content: markup`<h1>${name}</h1>
${renderProblems(problems)}
<div id="live" data-refresh="2000" data-state="${task?.isRunning === true ? `${state}, ${task.action}` : state}" class="live">${renderTask(caller, path, task)}${renderAbout(details)}</div>
${isManaged ? renderActions(caller, path, details) : undefined}
${state === "running" || state === "paused" ? renderLive(caller, `/api/v1${path}`) : undefined}
${isManaged && state === "running" ? renderModuleChoice(name, modules) : undefined}
${cloneOf === undefined ? renderStates(caller, path, details) : undefined}
${isManaged && cloneOf === undefined && details.capabilities.goldenStates ? renderPreparation(caller, path) : undefined}`,
  });
}

function renderAbout({ machine }: MachineDetails): Markup {
  const { state, platform, machinery, label, tags, ip, note, isEnabled, isReserved, cloneOf } = machine;
  const facts = renderFacts([
    ["State", isEnabled ? state : `${state}, out of the pool`],
    ["Note", note === "" ? undefined : note],
    ["Platform", platform],
    ["Machinery", machinery],
    ["Label", label],
    ["Tags", tags.join(", ") || undefined],
    ["Address", ip],
    ["Clone of", cloneOf && markup`<a href="/machines/${encodeURIComponent(cloneOf)}">${cloneOf}</a>`],
    ["Reserved", isReserved ? "yes: only who names it gets it" : undefined],
  ]);
  return markup`<section class="card facts"><h2>About</h2>${facts}</section>`;
}

function renderTask(caller: Caller, path: string, task: MachineTask | undefined): Markup | undefined {
  if (task === undefined) return undefined;
  const { action, by, began, isRunning, status, text } = task;
  const how = isRunning ? "goes on" : status === 0 ? "went well" : status === undefined ? "has ended" : "has failed";
  const end = isRunning && caller.rights.has("administer") ? renderButton(caller, `${path}/task/cancel`, "End it", { kind: "danger" }) : undefined; // prettier-ignore
  return markup`<section class="card"><div class="row top"><h2>${action}: <span class="${status === undefined || status === 0 ? "" : "bad"}">${how}</span></h2>${end}</div>
<p class="muted small">${by}, ${renderTime(began)}</p><pre class="code" role="status">${text}</pre></section>`;
}

function renderActions(caller: Caller, path: string, { machine, task, capabilities }: MachineDetails): Markup {
  if (task?.isRunning === true) return markup``;
  const isOff = machine.state === "poweroff";
  const fresh = capabilities.norestoreStart ? renderButton(caller, `${path}/start`, "Start without it", { fields: { restore: "no" } }) : undefined; // prettier-ignore
  return markup`<div class="row">${isOff ? markup`${renderButton(caller, `${path}/start`, "Start from its golden state or snapshot", { kind: "main" })}${fresh}` : renderButton(caller, `${path}/stop`, "Stop", { kind: "danger", confirm: `End ${machine.name} now?` })}</div>`;
}

function renderStates(caller: Caller, path: string, { machine, states }: MachineDetails): Markup {
  const rows = states.map(({ manifest }) => {
    const { name, createdMs, ramSize, changes } = manifest;
    const remove = caller.rights.has("administer") ? renderButton(caller, `${path}/golden/${encodeURIComponent(name)}/remove`, "Remove", { kind: "danger", confirm: `Remove the golden state ${name}?` }) : undefined; // prettier-ignore
    return markup`<tr><td><b>${name}</b></td><td class="number">${renderTime(new Date(createdMs).toISOString())}</td><td class="number">${formatBytes(ramSize)}</td><td class="code">${changes.join("\n")}</td><td>${remove}</td></tr>`;
  });
  const table = markup`<div class="wide"><table><caption class="hidden">Golden states of ${machine.name}</caption><thead><tr><th scope="col">Name</th><th scope="col">Made (UTC)</th><th scope="col">RAM</th><th scope="col">Changed by</th><th scope="col"><span class="hidden">Action</span></th></tr></thead><tbody>${rows}</tbody></table></div>`;
  return markup`<section class="card"><h2>Golden states</h2>${rows.length === 0 ? markup`<p class="muted">None: each analysis boots it.</p>` : table}</section>`;
}

function renderPreparation(caller: Caller, path: string): Markup {
  return markup`<section class="card"><h2>Prepare</h2><p class="muted">Boots it once, changes it, and freezes it: analyses begin there from then on.</p>
<form method="post" action="${path}/prepare" class="grid">${csrf(caller)}
${renderField("as", "Name of the golden state", { value: "ready", more: markup`required="" maxlength="64"` })}
${renderField("from", "Change this one", { hint: "In place of a fresh boot." })}
${renderField("command", "Command in the guest", { hint: "For sh, before it is frozen.", more: markup`maxlength="10000"` })}
${renderField("timeout", "Seconds until it is ready", { type: "number", value: 600, more: markup`min="1" max="86400"` })}
<div class="field"><label><input type="checkbox" name="replace" value="yes" /> Replace one of this name</label><label><input type="checkbox" name="trust" value="yes" /> Trust the lab's certificates</label></div>
<div class="field act"><button class="main">Prepare</button></div></form></section>`;
}
