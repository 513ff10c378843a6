import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { AuditEntry } from "../accounts/audit-log";
import { type Caller, RIGHTS, ROLES } from "../accounts/roles";
import type { Token } from "../accounts/tokens";
import type { User } from "../accounts/users";
import { csrf, renderButton, renderChoice, renderField, renderPage, renderTime } from "./layout";

/** Renders the page with the caller's tokens; an administrator sees all. @param made a token that was made just now */
export function renderAccountPage(caller: Caller, tokens: readonly Token[], made?: string): string {
  const shown = made === undefined ? undefined : markup`<div class="notice" role="status"><p>The new token. Copy it now: nobody can read it again.</p><p><code>${made}</code></p></div>`; // prettier-ignore
  const boxes = RIGHTS.filter((right) => caller.rights.has(right)).map((right) => markup`<label><input type="checkbox" name="scope" value="${right}"${right === "read" ? markup` checked=""` : undefined} /> ${right}</label> `); // prettier-ignore
  const rows = tokens.map(
    ({ id, user, label, scopes, created, expires, used }) => markup`<tr><td class="code">${id}</td><td>${label}</td><td>${user}</td><td>${scopes.join(", ")}</td><td class="number">${renderTime(created)}</td><td class="number">${expires === undefined ? "never" : renderTime(expires)}</td><td class="number">${renderTime(used)}</td><td>${renderButton(caller, `/tokens/${id}/remove`, "Remove", { kind: "danger", confirm: `Remove the token ${label}?` })}</td></tr>`, // prettier-ignore
  );
  return renderPage({
    ...{ title: "Tokens", place: "/account", caller },
    content: markup`<h1>Tokens</h1>
<p class="muted">A program brings a token as <code>Authorization: Bearer TOKEN</code>, and CAPE's clients as <code>Authorization: Token TOKEN</code>.</p>
${shown}
<section class="card"><h2>New token</h2><form method="post" action="/tokens" class="grid">${csrf(caller)}
${renderField("label", "What it is for", { more: markup`required="" maxlength="100"` })}
<fieldset><legend>Rights</legend>${boxes}</fieldset>
${renderField("days", "Days until it is over", { type: "number", value: 90, hint: "Never, when it is empty.", more: markup`min="1" max="3650"` })}
<div class="field act"><button class="main">Make it</button></div></form></section>
<section class="card"><h2>Tokens</h2>${renderTable("Tokens", ["Id", "For", "User", "Rights", "Made (UTC)", "Over", "Used", ""], rows)}</section>`,
  });
}

/** Renders the page with the users. */
export function renderUsersPage(caller: Caller, users: readonly User[], problem?: string): string {
  const roles = ROLES.map((role) => [role, role] as const);
  const rows = users.map(
    ({ name, role, created }) => markup`<tr><td><b>${name}</b></td><td><form class="inline" method="post" action="/users/${name}/role">${csrf(caller)}<select name="role" aria-label="Role of ${name}">${ROLES.map((each) => markup`<option${each === role ? markup` selected=""` : undefined}>${each}</option>`)}</select><button>Change</button></form></td><td class="number">${renderTime(created)}</td><td>${renderButton(caller, `/users/${name}/remove`, "Remove", { kind: "danger", confirm: `Remove the user ${name}?` })}</td></tr>`, // prettier-ignore
  );
  return renderPage({
    ...{ title: "Users", place: "/users", caller },
    content: markup`<h1>Users</h1>
${problem === undefined ? undefined : markup`<p class="notice bad" role="alert">${problem}</p>`}
<section class="card"><h2>New user</h2><form method="post" action="/users" class="grid">${csrf(caller)}
${renderField("name", "Name", { more: markup`required="" maxlength="32" autocomplete="off"`, hint: "Of a-z, 0-9, and . _ -" })}
${renderField("password", "Password", { type: "password", more: markup`required="" minlength="10" maxlength="256" autocomplete="new-password"`, hint: "At least 10 characters." })}
${renderChoice("role", "Role", roles, "analyst")}
<div class="field act"><button class="main">Add</button></div></form></section>
<section class="card"><h2>Users</h2>${renderTable("Users", ["Name", "Role", "Since (UTC)", ""], rows)}
<p class="hint">A reader looks at analyses; an analyst submits, ends and removes them as well; an administrator also manages users and machines, and may open networks.</p></section>`,
  });
}

/** Renders the page with the audit log. */
export function renderAuditPage(caller: Caller, entries: readonly AuditEntry[], rows: number): string {
  const shown = entries.map(
    ({ time, user, address, action, detail }) => markup`<tr><td class="number">${renderTime(time)}</td><td class="word">${user ?? markup`<span class="muted">nobody</span>`}</td><td class="number">${address}</td><td class="word">${action}</td><td>${detail}</td></tr>`, // prettier-ignore
  );
  const older = entries.length === rows ? markup`<p><a href="/audit?before=${entries.at(-1)!.id}">Older entries</a></p>` : undefined; // prettier-ignore
  return renderPage({
    ...{ title: "Audit log", place: "/audit", caller },
    content: markup`<h1>Audit log</h1><section class="card">${renderTable("Audit log", ["Time (UTC)", "User", "Address", "Action", "Detail"], shown)}${older}</section>`,
  });
}

function renderTable(caption: string, heads: readonly string[], rows: readonly Markup[]): Markup {
  if (rows.length === 0) return markup`<p class="muted">None.</p>`;
  const cells = heads.map((head) => markup`<th scope="col">${head === "" ? markup`<span class="hidden">Action</span>` : head}</th>`); // prettier-ignore
  return markup`<div class="wide"><table class="list"><caption class="hidden">${caption}</caption><thead><tr>${cells}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
