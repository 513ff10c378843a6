import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { Caller } from "../accounts/roles";
import { getAssets } from "./assets/assets";

/** The pages of the bar at the top, and whom they are for. */
const PLACES = [
  ["/", "Analyses", "read"],
  ["/submit", "Submit", "submit"],
  ["/search", "Search", "read"],
  ["/machines", "Machines", "read"],
  ["/recordings", "Recordings", "read"],
  ["/hosts", "Hosts", "read"],
  ["/account", "Tokens", "read"],
  ["/users", "Users", "administer"],
  ["/webhooks", "Webhooks", "administer"],
  ["/audit", "Audit log", "administer"],
] as const;

/** The address of a page that the bar names. */
export type Place = (typeof PLACES)[number][0];

/** A page. */
export interface Page {
  readonly title: string;
  readonly place?: Place;
  /** Undefined when nobody has signed in. */
  readonly caller: Caller | undefined;
  readonly content: Markup;
}

/** Renders a whole page. Everything in it that is not ours is escaped. */
export function renderPage({ title, place, caller, content }: Page): string {
  const { style, script } = getAssets();
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>${title} – rebox</title>
<link rel="stylesheet" href="${style.path}" />
<link rel="icon" href="data:," />
<script src="${script.path}" type="module"></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="bar">
<a class="brand" href="/">rebox</a>
${caller === undefined ? undefined : renderBar(caller, place)}
</header>
<main id="main">
${content}
</main>
</body>
</html>
`.text;
}

function renderBar(caller: Caller, place: Place | undefined): Markup {
  const links = PLACES.filter(([, , right]) => caller.rights.has(right)).map(
    ([path, name]) => markup`<a href="${path}"${path === place ? markup` aria-current="page"` : undefined}>${name}</a>`,
  );
  return markup`<nav aria-label="Pages">${links}</nav>
<form method="post" action="/sign-out">${csrf(caller)}<span>${caller.user}</span><button>Sign out</button></form>`;
}

/** Renders the field with the word that each form must bring. */
export function csrf(caller: Caller): Markup {
  return markup`<input type="hidden" name="csrf" value="${caller.by.kind === "session" ? caller.by.csrf : ""}" />`;
}

/** Renders a form that is one button. */
export function renderButton(
  caller: Caller,
  action: string,
  text: string,
  { kind = "", confirm, fields = {} }: { readonly kind?: string; readonly confirm?: string; readonly fields?: Readonly<Record<string, string>> } = {}, // prettier-ignore
): Markup {
  const asked = confirm === undefined ? undefined : markup` data-confirm="${confirm}"`;
  const hidden = Object.entries(fields).map(
    ([name, value]) => markup`<input type="hidden" name="${name}" value="${value}" />`,
  );
  return markup`<form class="inline" method="post" action="${action}"${asked}>${csrf(caller)}${hidden}<button class="${kind}">${text}</button></form>`;
}

/** Renders an input with its label. @param more further attributes, and a hint below */
export function renderField(
  name: string,
  label: string,
  { type = "text", value, hint, more }: { readonly type?: string; readonly value?: string | number | undefined; readonly hint?: string; readonly more?: Markup } = {}, // prettier-ignore
): Markup {
  const described = hint === undefined ? undefined : markup` aria-describedby="hint-${name}"`;
  const below = hint === undefined ? undefined : markup`<span class="hint" id="hint-${name}">${hint}</span>`;
  const given = value === undefined ? undefined : markup` value="${value}"`;
  return markup`<div class="field"><label for="${name}">${label}</label><input id="${name}" name="${name}" type="${type}"${given}${described} ${more} />${below}</div>`;
}

/** Renders a choice with its label. @param options values with their texts */
export function renderChoice(
  name: string,
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  chosen = "",
): Markup {
  const items = options.map(
    ([value, text]) =>
      markup`<option value="${value}"${value === chosen ? markup` selected=""` : undefined}>${text}</option>`,
  );
  return markup`<div class="field"><label for="${name}">${label}</label><select id="${name}" name="${name}">${items}</select></div>`;
}

/** Renders a moment: to the second, in UTC, and exactly for programs. */
export function renderTime(time: string | undefined): Markup {
  if (time === undefined) return markup``;
  return markup`<time datetime="${time}" title="${time}">${time.slice(0, 19).replace("T", " ")}</time>`;
}

/** Writes a number of bytes for people. */
export function formatBytes(size: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
