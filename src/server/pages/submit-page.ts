import { type Markup, markup } from "../../lab/analysis/report/markup";
import type { Caller } from "../accounts/roles";
import type { ShownMachines } from "../machines/machine-watch";
import { csrf, formatBytes, renderChoice, renderField, renderPage } from "./layout";

/** The word of the page for networks that let the guest out. */
const OPEN = "open: the guest reaches others";

/** Renders the page on which files are handed in. */
export function renderSubmitPage(caller: Caller, { machines, problems }: ShownMachines, largestUpload: number): string {
  const names = machines.filter(({ cloneOf }) => cloneOf === undefined).map(({ name, platform }) => [name, `${name} (${platform})`] as const); // prettier-ignore
  const networks: (readonly [string, string])[] = [["", "that of the machine"], ["none", "none"], ["simulated", "simulated: nothing leaves the lab"]]; // prettier-ignore
  if (caller.rights.has("administer")) networks.push(["user", OPEN]);
  return renderPage({
    ...{ title: "Submit", place: "/submit", caller },
    content: markup`<h1>Submit</h1>
${renderProblems(names.length === 0 ? ["The lab has no machine: add one with rebox machine add", ...problems] : problems)}
<form method="post" action="/submit" enctype="multipart/form-data" data-upload="" class="card">
${csrf(caller)}
<div class="drop" data-drop="">
<label for="file">Files to analyse</label>
<div class="hint" id="hint-file">Drop them here, or choose them. Each is an analysis of its own; at most ${formatBytes(largestUpload)} each. A file in a zip, 7z or tar archive is taken out; its password is "infected" unless said otherwise.</div>
<input id="file" name="file" type="file" multiple="" aria-describedby="hint-file" />
</div>
<progress max="1" value="0" hidden="" aria-label="Uploaded"></progress>
<p role="status" data-status=""></p>
${renderField("command", "Command", { hint: "For sh, in place of the target itself; $TARGET is its path. Without a file, just this.", more: markup`maxlength="10000"` })}
<div class="grid">
${renderChoice("machine", "Machine", [["", "any that is free"], ...names])}
${renderField("timeout", "Time limit in seconds", { type: "number", value: 120, more: markup`min="1" max="86400" step="any"` })}
${renderChoice("network", "Network", networks)}
${renderChoice("priority", "Priority", [
  ["1", "1, as it comes"],
  ["2", "2, sooner"],
  ["3", "3, first"],
])}
</div>
<details>
<summary>More options</summary>
<div class="grid">
${renderField("argument", "Argument of the target", { more: markup`maxlength="10000"` })}
${renderField("env", "Variable of its environment", { hint: "NAME=VALUE", more: markup`maxlength="10000"` })}
${renderField("user", "User of the guest")}
${renderField("folder", "Folder of the guest", { hint: "The target's own without it." })}
${renderField("member", "File in the archive", { hint: "Where the archive has several." })}
${renderField("password", "Password of the archive", { more: markup`autocomplete="off"` })}
${renderField("platform", "Platform", { hint: "Where no machine is chosen." })}
${renderField("tag", "Tag of the machine")}
${renderField("options", "Options for the modules", { hint: "NAME=VALUE,NAME=VALUE; memory=yes dumps memory at the end." })}
${renderField("runs", "Runs of each file", { type: "number", value: 1, more: markup`min="1" max="20"` })}
${renderField("not_before", "Not before (UTC)", { type: "datetime-local", hint: "It waits until then." })}
${renderField("note", "Note", { hint: "A text of yours, which comes back with the analysis.", more: markup`maxlength="1000"` })}
</div>
</details>
<p><button class="main">Analyse</button></p>
</form>`,
  });
}

/** Renders what is wrong with the configuration of a lab. */
export function renderProblems(problems: readonly string[]): Markup {
  return markup`${problems.map((problem) => markup`<p class="notice bad">${problem}</p>`)}`;
}
