import { z } from "zod";
import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { SeenHost } from "../../../lab/cluster/host-list";
import type { Caller } from "../../accounts/roles";
import { type App, getDoer } from "../../api/app";
import { getCluster, setDraining } from "../../api/host-routes";
import { NAME } from "../../api/lab-routes";
import { getCaller } from "../../http/caller";
import type { ServerParts } from "../../server-parts";
import { formatBytes, renderButton, renderPage, renderTime } from "../layout";

const HTML = "text/html; charset=utf-8";

/** Adds the page with the hosts of the lab's cluster, and the routes of its buttons. */
export function addHostsPage(app: App, parts: ServerParts): void {
  app.get("/hosts", { config: { access: "read" }, schema: { hide: true } }, async (request, reply) => {
    const hosts = parts.cluster === undefined ? undefined : await parts.cluster.listHosts();
    return reply.type(HTML).send(renderHostsPage(getCaller(request), hosts));
  });
  const change = z.object({ ...NAME.shape, action: z.enum(["drain", "resume"]) });
  app.post(
    "/hosts/:name/:action",
    { config: { access: "administer" }, schema: { hide: true, params: change } },
    async (request, reply) => {
      getCluster(parts);
      await setDraining(parts, getDoer(request), request.params.name, request.params.action === "drain");
      return reply.redirect("/hosts", 303);
    },
  );
}

/** Renders the page. @param hosts undefined when the lab has no cluster */
export function renderHostsPage(caller: Caller, hosts: readonly SeenHost[] | undefined): string {
  const none =
    hosts === undefined
      ? markup`<p class="muted">This lab has no cluster: its analyses run in its own machines. rebox lab init --cluster makes it one that has.</p>`
      : markup`<p class="muted">None: start one at the terminal of a host, with rebox host.</p>`;
  const rows = (hosts ?? []).map((host) => renderRow(caller, host));
  const table = markup`<div class="wide"><table class="list"><caption class="hidden">Hosts</caption><thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">Machines busy</th><th scope="col">Machines</th><th scope="col">Load</th><th scope="col">Memory free</th><th scope="col">Disk free</th><th scope="col">Version</th><th scope="col">Last heard of</th><th scope="col"><span class="hidden">Action</span></th></tr></thead><tbody>${rows}</tbody></table></div>`;
  return renderPage({
    ...{ title: "Hosts", place: "/hosts", caller },
    content: markup`<h1>Hosts</h1>
<div id="live" data-refresh="5000"><section class="card">${rows.length === 0 ? none : table}</section></div>
<p class="muted small">A host takes an analysis only while a machine of its own fits and is free. One that drains takes no more; what runs there ends as it would.</p>`,
  });
}

function renderRow(caller: Caller, { name, state, isDraining, machines, load, version, seen }: SeenHost): Markup {
  const path = `/hosts/${encodeURIComponent(name)}`;
  const button = isDraining ? renderButton(caller, `${path}/resume`, "Resume") : renderButton(caller, `${path}/drain`, "Drain"); // prettier-ignore
  const shown = isDraining && state === "working" ? "draining" : state;
  return markup`<tr><td><b>${name}</b></td>
<td><span class="badge ${state === "away" ? "failed" : shown === "working" ? "running" : ""}">${shown}</span></td>
<td>${load.analyses} of ${machines.length}</td><td>${machines.join(", ")}</td><td>${load.processes.toFixed(1)}</td>
<td>${formatBytes(load.freeMemory)}</td><td>${formatBytes(load.freeDisk)}</td><td>${version}</td><td>${renderTime(seen.toISOString())}</td>
<td>${caller.rights.has("administer") ? button : undefined}</td></tr>`;
}
