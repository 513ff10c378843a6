import { type Markup, markup, renderFacts } from "../../../lab/analysis/report/markup";
import type { Caller } from "../../accounts/roles";
import type { DescribedRecording, LabRecording } from "../../recordings/list-recordings";
import { MOMENT_QUESTIONS } from "../../recordings/replays";
import { csrf, formatBytes, renderField, renderPage, renderTime } from "../layout";

/** A moment as a form has it. */
export interface AskedMoment {
  readonly at: number | undefined;
  readonly pid?: number | undefined;
  readonly timeout: number;
  readonly questions: readonly string[];
}

const FIRST_QUESTIONS = ["place", "processes"];

/** Renders the page with the lab's recordings. */
export function renderRecordingsPage(caller: Caller, recordings: readonly LabRecording[]): string {
  const rows = recordings.map(
    (recording) => markup`<tr><td><a href="${pathOf(recording.name)}"><b>${recording.folder}</b></a></td><td>${renderAnalysis(recording)}</td><td class="number">${renderTime(recording.made)}</td><td class="number">${formatBytes(recording.logSize)}</td></tr>`, // prettier-ignore
  );
  const table = markup`<div class="wide"><table class="list"><caption class="hidden">Recordings</caption><thead><tr><th scope="col">Folder</th><th scope="col">Of</th><th scope="col">Begun (UTC)</th><th scope="col">Log</th></tr></thead><tbody>${rows}</tbody></table></div>`;
  return renderPage({
    ...{ title: "Recordings", place: "/recordings", caller },
    content: markup`<h1>Recordings</h1>
<section class="card">${rows.length === 0 ? markup`<p class="muted">None. In the folder of the lab, rebox record -o recordings/NAME makes one.</p>` : table}</section>
<p class="muted small">A recording is a run of a machine that can be executed again, instruction by instruction, with whatever looks on.</p>`,
  });
}

/** Renders the page of a recording: what it was made of, and the form that goes to a moment. @param answer of the form */
export function renderRecordingPage(
  caller: Caller,
  recording: DescribedRecording,
  asked: AskedMoment = { at: undefined, timeout: 300, questions: FIRST_QUESTIONS },
  answer?: string,
): string {
  const { folder, name } = recording;
  const shown = answer === undefined ? undefined : markup`<section class="card"><h2>At instruction ${asked.at}</h2><pre class="code hex" tabindex="0" role="region" aria-label="Answer">${answer}</pre></section>`; // prettier-ignore
  return renderPage({
    ...{ title: `Recording ${name}`, place: "/recordings", caller },
    content: markup`<h1>${folder}</h1>
${shown}
${caller.rights.has("administer") ? renderForm(caller, recording, asked) : undefined}
<section class="card"><h2>At the terminal</h2><p>In the folder of the lab, this stops at the moment and has a shell there, which goes on and back:</p>
<pre class="code">rebox replay ${folder} --at ${asked.at ?? "COUNT"} --ui</pre>
<p class="hint">An event of an analysis that was recorded has its count of instructions.</p></section>
${renderAbout(recording)}`,
  });
}

function renderForm(caller: Caller, { name }: LabRecording, asked: AskedMoment): Markup {
  const boxes = Object.keys(MOMENT_QUESTIONS).map((each) => markup`<label><input type="checkbox" name="questions" value="${each}"${asked.questions.includes(each) ? markup` checked=""` : undefined} /> ${each}</label> `); // prettier-ignore
  return markup`<section class="card"><h2>Go to a moment</h2><p class="muted">Executes the recording up to there again, and asks the guest. The further the moment, the longer it takes.</p>
<form method="post" action="${pathOf(name)}/ask" class="grid">${csrf(caller)}
${renderField("at", "Instructions executed", { type: "number", value: asked.at, more: markup`min="0" required=""` })}
${renderField("pid", "Process", { type: "number", value: asked.pid, hint: "Its pid; without it, the one that is executed then.", more: markup`min="0"` })}
${renderField("timeout", "Seconds at most", { type: "number", value: asked.timeout, more: markup`min="1" max="1800"` })}
<fieldset><legend>Ask for</legend>${boxes}</fieldset>
<div class="field act"><button class="main">Go there</button></div></form></section>`;
}

function renderAbout(recording: DescribedRecording): Markup {
  const { made, logSize, manifest } = recording;
  const files = manifest.files.map(({ role, path, size, sha256 }) => markup`<tr><td>${role}</td><td class="code">${path}</td><td class="number">${formatBytes(size)}</td><td class="code">${sha256.slice(0, 16)}</td></tr>`); // prettier-ignore
  const facts = renderFacts([
    ["Of", renderAnalysis(recording)],
    ["Begun", renderTime(made)],
    ["Log", formatBytes(logSize)],
    ["rebox", manifest.rebox],
    ["QEMU", manifest.qemu],
    ["Machine", markup`<code>${manifest.args.join(" ")}</code>`],
    ["In", markup`<code>${manifest.cwd}</code>`],
  ]);
  return markup`<section class="card facts"><h2>About</h2>${facts}</section>
<section class="card"><h2>Files that a replay needs</h2><div class="wide"><table><caption class="hidden">Files that a replay needs</caption><thead><tr><th scope="col">Part</th><th scope="col">Path</th><th scope="col">Size</th><th scope="col">SHA-256</th></tr></thead><tbody>${files}</tbody></table></div></section>`;
}

function renderAnalysis({ analysis }: LabRecording): Markup {
  return analysis === undefined ? markup`a machine` : markup`<a href="/analyses/${analysis}">analysis ${analysis}</a>`;
}

function pathOf(name: string): string {
  return `/recordings/${encodeURIComponent(name)}`;
}
