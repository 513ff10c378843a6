import { since } from "../../lab/analysis/report/event-rows";
import type { ReportedProcess } from "../../lab/analysis/report/gather-events";
import { type Markup, markup } from "../../lab/analysis/report/markup";
import { groupByParent, NO_PARENT } from "../results/group-processes";

/** The depth to which processes stand below each other: a chain may be longer than a browser bears. */
const DEEPEST = 30;
/** In characters. */
const LONGEST_LINE = 500;

/** Renders processes below those that started them. @param id of the analysis @param start its beginning */
export function renderProcessTree(id: number, processes: readonly ReportedProcess[], start: string): Markup {
  if (processes.length === 0) return markup`<p class="muted">None of the target was seen.</p>`;
  const children = groupByParent(processes);
  const render = (parent: number, depth: number): Markup => {
    const items = (children.get(parent) ?? []).map((process) => {
      const below = !children.has(process.id) ? undefined : depth < DEEPEST ? render(process.id, depth + 1) : markup` <span class="muted">and further ones below</span>`; // prettier-ignore
      return markup`<li>${renderProcess(id, process, start)}${below}</li>`;
    });
    return markup`<ul class="tree">${items}</ul>`;
  };
  return render(NO_PARENT, 0);
}

function renderProcess(analysis: number, process: ReportedProcess, start: string): Markup {
  const { id, pid, name, commandLine, began, ended, adoptedBy } = process;
  const adoption = adoptedBy && markup` <span class="bad">acts for the target: ${adoptedBy}</span>`;
  const end = ended === undefined ? "" : ` to ${since(ended, start)}`;
  return markup`<code>${pid}</code> <a href="/analyses/${analysis}/processes/${id}"><b>${name}</b></a> <code>${commandLine?.slice(0, LONGEST_LINE)}</code>${adoption} <span class="muted small">${since(began, start)}${end}</span>`;
}
