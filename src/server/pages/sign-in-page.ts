import { markup } from "../../lab/analysis/report/markup";
import { renderField, renderPage } from "./layout";

/** Renders the page on which one signs in. @param to where to go then @param problem why it has failed */
export function renderSignInPage(to: string, problem?: string): string {
  const told = problem === undefined ? undefined : markup`<p class="notice bad" role="alert">${problem}</p>`;
  return renderPage({
    ...{ title: "Sign in", caller: undefined },
    content: markup`<div class="card narrow">
<h1>Sign in</h1>
${told}
<form method="post" action="/sign-in" class="grid">
<input type="hidden" name="to" value="${to}" />
${renderField("name", "Name", { more: markup`autocomplete="username" required="" autofocus="" maxlength="64"` })}
${renderField("password", "Password", { type: "password", more: markup`autocomplete="current-password" required="" maxlength="256"` })}
<button class="main">Sign in</button>
</form>
</div>`,
  });
}
