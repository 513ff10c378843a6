import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { Caller } from "../accounts/roles";

/**
 * Renders the screen and the serial console of a machine, which the page's script fills.
 *
 * @param place the address below which their WebSockets are
 * @param phases those of an analysis in which there is something to see; none for a machine that is on
 */
export function renderLive(caller: Caller, place: string, phases: readonly string[] = []): Markup {
  const mayType = caller.rights.has("submit");
  const keys = (what: string) =>
    mayType
      ? markup`<div class="row"><button type="button" data-take="" aria-pressed="false">Take over ${what}</button></div>`
      : undefined;
  const hint = mayType ? markup` Ctrl+Alt+G gives the keyboard back to this page.` : undefined;
  return markup`<section class="card" data-live="screen" data-place="${place}/screen" data-phases="${phases.join(",")}">
<div class="row top"><h2>Screen</h2>${keys("keyboard and mouse")}</div>
<div class="screen" data-view="" hidden=""></div>
<p class="hint" role="status" data-status="">The machine's screen is shown here while it is on.${hint}</p>
</section>
<details class="card" data-live="console" data-place="${place}/console" data-phases="${phases.join(",")}">
<summary>Serial console</summary>
<div class="row top"><p class="hint" role="status" data-status="">What the machine writes on its serial console is shown here.${hint}</p>${keys("the keyboard")}</div>
<div class="console" data-view="" hidden=""></div>
</details>`;
}
