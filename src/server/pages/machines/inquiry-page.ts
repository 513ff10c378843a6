import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { Caller } from "../../accounts/roles";
import { csrf, renderChoice, renderField, renderPage } from "../layout";

/** A question as the form had it. */
export interface AskedInquiry {
  readonly module: string;
  readonly flags: string;
  readonly timeout: number;
}

/** Renders the form by which a machine that runs is asked something. */
export function renderInquiryForm(
  caller: Caller,
  machine: string,
  modules: readonly string[],
  asked: AskedInquiry = { module: "process", flags: "", timeout: 60 },
): Markup {
  return markup`<section class="card"><h2>Investigate</h2><p class="muted">Asks the guest from outside, while it runs: nothing is installed in it, and nothing of it is changed.</p>
<form method="post" action="/machines/${encodeURIComponent(machine)}/investigate" class="grid">${csrf(caller)}
${renderChoice(
  "module",
  "Module",
  modules.map((name) => [name, name] as const),
  asked.module,
)}
${renderField("flags", "Parameters", { value: asked.flags, hint: "Such as -name sshd; help has the module explain them.", more: markup`maxlength="4000" spellcheck="false"` })}
${renderField("timeout", "Seconds at most", { type: "number", value: asked.timeout, more: markup`min="1" max="300"` })}
<div class="field act"><button class="main">Ask</button></div></form></section>`;
}

/** Renders the answer of a machine, with the form for the next question. */
export function renderInquiryPage(
  caller: Caller,
  machine: string,
  modules: readonly string[],
  asked: AskedInquiry,
  text: string,
): string {
  return renderPage({
    ...{ title: `${asked.module} of ${machine}`, place: "/machines", caller },
    content: markup`<h1><a href="/machines/${encodeURIComponent(machine)}">${machine}</a></h1>
<section class="card"><h2>${asked.module} <code>${asked.flags}</code></h2>
${text === "" ? markup`<p class="muted" role="status">Nothing was found.</p>` : markup`<pre class="code hex" tabindex="0" role="region" aria-label="Answer">${text}</pre>`}</section>
${renderInquiryForm(caller, machine, modules, asked)}`,
  });
}
