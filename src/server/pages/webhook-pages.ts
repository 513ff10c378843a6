import { markup } from "../../lab/analysis/report/markup";
import type { Caller } from "../accounts/roles";
import type { WebhookStore } from "../webhooks/webhook-store";
import { csrf, renderButton, renderField, renderPage, renderTime } from "./layout";

const SHOWN = 10;

/** Renders the page with the addresses that are told of ends of analyses. @param secret of one that was added just now */
export function renderWebhooksPage(
  caller: Caller,
  webhooks: WebhookStore,
  { secret, problem }: { readonly secret?: string; readonly problem?: string } = {},
): string {
  const shown = secret === undefined ? undefined : markup`<div class="notice" role="status"><p>The secret that messages are signed with. Copy it now: nobody can read it again.</p><p><code>${secret}</code></p></div>`; // prettier-ignore
  const cards = webhooks.list().map(({ id, url, user, created, isOver }) => {
    const rows = webhooks.listDeliveries(id, SHOWN).map(
      (each) => markup`<tr><td><a href="/analyses/${each.analysis}">${each.analysis}</a></td><td>${each.state}</td><td>${each.attempts}</td><td>${each.answer}</td><td class="number">${each.nextMs === undefined ? "" : renderTime(new Date(each.nextMs).toISOString())}</td></tr>`, // prettier-ignore
    );
    const table = markup`<div class="wide"><table><caption class="hidden">Newest messages of webhook ${id}</caption><thead><tr><th scope="col">Analysis</th><th scope="col">State</th><th scope="col">Attempts</th><th scope="col">Last answer</th><th scope="col">Next attempt (UTC)</th></tr></thead><tbody>${rows}</tbody></table></div>`;
    return markup`<section class="card"><div class="row top"><h2 class="code">${url}</h2>${renderButton(caller, `/webhooks/${id}/remove`, "Remove", { kind: "danger", confirm: `Remove the webhook ${url}?` })}</div>
<p class="muted small">Added by ${user}, ${renderTime(created)}${isOver ? markup`; <span class="bad">it has answered that it is gone, and is told nothing more</span>` : undefined}</p>${rows.length === 0 ? markup`<p class="muted">No message yet.</p>` : table}</section>`;
  });
  return renderPage({
    ...{ title: "Webhooks", place: "/webhooks", caller },
    content: markup`<h1>Webhooks</h1>
<p class="muted">An address here gets a signed message when an analysis has ended.</p>
${problem === undefined ? undefined : markup`<p class="notice bad" role="alert">${problem}</p>`}${shown}
<section class="card"><h2>New webhook</h2><form method="post" action="/webhooks" class="grid">${csrf(caller)}
${renderField("url", "Address", { type: "url", hint: "Of http or https.", more: markup`required="" maxlength="2000"` })}
<div class="field act"><button class="main">Add</button></div></form></section>
${cards}`,
  });
}
