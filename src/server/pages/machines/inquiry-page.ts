import type { ModuleDescription } from "../../../investigation/describe-module";
import { type Markup, markup } from "../../../lab/analysis/report/markup";
import type { Caller } from "../../accounts/roles";
import { csrf, renderChoice, renderField, renderPage } from "../layout";
import { type FormFields, renderParameters } from "./parameter-form";

/** The time that a question may take when nobody says another, in seconds. */
const TIMEOUT_S = 60;

/** The page of a question to a machine. */
export interface InquiryPage {
  readonly machine: string;
  /** The names of all modules. */
  readonly modules: readonly string[];
  readonly module: ModuleDescription;
  /** The fields of the form as they were sent; undefined for a new one. */
  readonly given?: FormFields | undefined;
  /** For people; undefined before something was asked. */
  readonly answer?: string | undefined;
}

/** Renders the choice of a module by which a machine that runs is asked something. */
export function renderModuleChoice(machine: string, modules: readonly string[], chosen = "process"): Markup {
  const options = modules.map((name) => [name, name] as const);
  return markup`<section class="card"><h2>Investigate</h2><p class="muted">Asks the guest from outside, while it runs: nothing is installed in it, and nothing of it is changed.</p>
<form method="get" action="${pathOf(machine)}/investigate" class="grid">${renderChoice("module", "Module", options, chosen)}<div class="field act"><button>Choose</button></div></form></section>`;
}

/** Renders the form of a module, with the answer of the machine to what was asked before. */
export function renderInquiryPage(caller: Caller, page: InquiryPage): string {
  const { machine, modules, module, given, answer } = page;
  return renderPage({
    ...{ title: `${module.name} of ${machine}`, place: "/machines", caller },
    content: markup`<h1><a href="${pathOf(machine)}">${machine}</a></h1>
${answer === undefined ? undefined : renderAnswer(module.name, answer)}
<section class="card"><h2>${module.name}</h2>${module.isPersistent ? markup`<p class="notice">It watches for as long as it runs: it is started at the terminal, with rebox investigate -P, and answers questions then.</p>` : undefined}
<form method="post" action="${pathOf(machine)}/investigate">${csrf(caller)}<input type="hidden" name="module" value="${module.name}" />
<div class="grid">${module.parameters === null ? renderFlags(given) : renderParameters(module.parameters, given)}
${renderField("timeout", "Seconds at most", { type: "number", value: textOf(given?.timeout) ?? TIMEOUT_S, more: markup`min="1" max="300"` })}</div>
<p><button class="main">Ask</button></p></form>
${module.help === "" ? undefined : markup`<details><summary>At the terminal</summary><pre class="code">${module.help}</pre></details>`}</section>
${renderModuleChoice(machine, modules, module.name)}`,
  });
}

/** Renders the one field of a module that does not say how its parameters are. */
function renderFlags(given: FormFields | undefined): Markup {
  return renderField("flags", "Parameters", { value: textOf(given?.flags), hint: "As words of a command line; help has the module explain them.", more: markup`maxlength="4000" spellcheck="false"` }); // prettier-ignore
}

function renderAnswer(module: string, text: string): Markup {
  return markup`<section class="card"><h2>Answer of ${module}</h2>
${text === "" ? markup`<p class="muted" role="status">Nothing was found.</p>` : markup`<pre class="code hex" tabindex="0" role="region" aria-label="Answer">${text}</pre>`}</section>`;
}

function pathOf(machine: string): string {
  return `/machines/${encodeURIComponent(machine)}`;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
