import type { Finding, Verdict } from "../../verdict/verdict";
import { type AnalysisRecord, explainNoVerdict } from "../analysis-record";
import { type Markup, markup } from "./markup";

const KINDS: Readonly<Record<Finding["kind"], string>> = { signature: "", sigma: "Sigma", yara: "YARA" };

/** The style of the verdict, for the page's own. */
export const VERDICT_STYLE = `
#verdict { border: 1px solid #8886; border-radius: .5rem; padding: .2rem 1rem 1rem; margin: 1rem 0; }
#verdict .score { font-size: 2rem; font-weight: 700; } #verdict .malicious { color: #c0392b; }
#verdict .suspicious { color: #b9770e; } #verdict .inconspicuous { color: #1e8449; }`;

/**
 * Renders what signatures and rules say about the target: the score and, in a sentence each, what it is made of.
 *
 * @param record of the analysis, which says why there is no verdict, and whether it is about the target's bytes alone
 * @param since shows a time as seconds after the beginning
 */
export function renderVerdict(
  verdict: Verdict | undefined,
  record: Pick<AnalysisRecord, "hasRun">,
  since: (time: string) => string,
): Markup {
  if (verdict === undefined) {
    return markup`<section id="verdict">
      <p><b>No verdict:</b> ${explainNoVerdict(record)}.</p>
    </section>`;
  }
  const { score, judgement, findings, asked, unusable } = verdict;
  const left = Object.values(unusable).reduce((sum, count) => sum + count, 0);
  const reasons = Object.entries(unusable).map(([reason, count]) => `${count}: ${reason}`);
  const unused =
    left === 0
      ? undefined
      : markup`<details class="muted">
          <summary>${left} Sigma rules could not be asked</summary>
          ${reasons.map((reason) => markup`<div>${reason}</div>`)}
        </details>`;
  return markup`<section id="verdict">
    <p>
      <span class="score ${judgement}">${score.toFixed(1)}</span> of 10: <b class="${judgement}">${judgement}</b>
      <span class="muted">by ${asked.signatures} signatures and ${asked.rules} Sigma rules</span>
    </p>
    ${record.hasRun === false ? markup`<p class="bad">The target did not run: this is about its bytes alone.</p>` : undefined}
    ${findings.length === 0 ? markup`<p class="muted">Nothing stands out.</p>` : renderFindings(findings, since)} ${unused}
  </section>`;
}

function renderFindings(findings: readonly Finding[], since: (time: string) => string): Markup {
  const rows = findings.map(({ kind, name, title, score, techniques, count, evidence }) => {
    const acts = evidence.map(
      ({ time, pid, process, text }) =>
        markup`<div class="code"><span class="muted">${since(time)}</span> ${pid} ${process}: ${text}</div>`,
    );
    const more =
      count > evidence.length ? markup`<div class="muted">and ${count - evidence.length} more</div>` : undefined;
    return markup`<tr>
      <td>${score}</td>
      <td>
        <details>
          <summary>${title} <span class="muted">${KINDS[kind]} ${name}</span></summary>
          ${acts}${more}
        </details>
      </td>
      <td class="code">${techniques.join(" ")}</td>
      <td class="muted">${count}</td>
    </tr>`;
  });
  return markup`<table>
    <tr>
      <th>score</th>
      <th>it was seen</th>
      <th>ATT&amp;CK</th>
      <th>acts</th>
    </tr>
    ${rows}
  </table>`;
}
