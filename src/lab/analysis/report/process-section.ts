import type { ReportedProcess } from "./gather-events";
import { since } from "./event-rows";
import { type Markup, markup } from "./markup";
import type { ReportParts } from "./report-parts";

/** The depth to which processes are shown below each other, and the number of those that are. */
const DEEPEST = 40;
const MOST_IN_TREE = 1_000;
/** In characters. */
const LONGEST_LINE = 2_000;

/** The place of the processes at the top of a tree: the `id` of none. */
const NO_PARENT = 0;

/**
 * Renders processes below each other; those whose parents are not among them come first. A tree that is too deep or too large is cut,
 * and all of them follow as a list.
 *
 * @param name of the list
 * @param start the beginning of the analysis
 */
export function renderProcesses(
  name: string,
  processes: readonly ReportedProcess[],
  start: string,
  parts: ReportParts,
): Markup {
  const known = new Set(processes.map(({ id }) => id));
  const children = new Map<number, ReportedProcess[]>();
  for (const process of processes) {
    const parent = process.parent !== undefined && known.has(process.parent) ? process.parent : NO_PARENT;
    const siblings = children.get(parent) ?? [];
    siblings.push(process);
    children.set(parent, siblings);
  }
  const tree = new Tree(children, start);
  const shown = tree.render(NO_PARENT, DEEPEST);
  if (tree.shown === processes.length) return shown;
  return markup`${shown}
    <p class="muted">The tree has ${tree.shown} of ${processes.length} processes; this is the list of all.</p>
    <details>
      <summary>All processes</summary>
      ${parts.renderTable(name, processes, (process) => renderRow(process, start))}
    </details>`;
}

class Tree {
  shown = 0;

  constructor(
    private readonly all: ReadonlyMap<number, readonly ReportedProcess[]>,
    private readonly start: string,
  ) {}

  render(parent: number, depth: number): Markup {
    if (depth === 0 || this.shown >= MOST_IN_TREE) return markup``;
    const items: Markup[] = [];
    for (const process of this.all.get(parent) ?? []) {
      if (this.shown >= MOST_IN_TREE) break;
      this.shown++;
      const below = this.all.has(process.id) ? this.render(process.id, depth - 1) : undefined;
      items.push(markup`<li>${renderProcess(process)} ${renderTimes(process, this.start)}${below}</li>`);
    }
    return markup`<ul class="tree">
      ${items}
    </ul>`;
  }
}

function renderProcess({ pid, name, commandLine, executable, sha256, unhashed, adoptedBy }: ReportedProcess): Markup {
  const adoption = adoptedBy && markup` <span class="bad">acts for the target: ${adoptedBy}</span>`;
  const line = commandLine?.slice(0, LONGEST_LINE);
  const hash = sha256 === undefined ? unhashed && `no SHA-256: ${unhashed}` : `SHA-256 ${sha256}`;
  const program = hash && markup` title="${executable}: ${hash}"`;
  return markup`<code>${pid}</code> <b${program}>${name}</b> <code>${line}</code>${adoption}`;
}

function renderTimes({ began, ended }: ReportedProcess, start: string): Markup {
  const end = ended === undefined ? "" : ` to ${since(ended, start)}`;
  return markup`<span class="muted">${since(began, start)}${end}</span>`;
}

function renderRow(process: ReportedProcess, start: string): Markup {
  const { ppid } = process;
  return markup`<tr>
    <td>${renderTimes(process, start)}</td>
    <td>${ppid === undefined ? undefined : markup`<span class="muted">of ${ppid}</span>`}</td>
    <td>${renderProcess(process)}</td>
  </tr>`;
}
