import type { ReportedProcess } from "../../lab/analysis/report/gather-events";

/** The place of the processes at the top of a tree: the `id` of none. */
export const NO_PARENT = 0;

/** Groups processes by those that started them; those whose parents are not among them are at the top. */
export function groupByParent(processes: readonly ReportedProcess[]): Map<number, ReportedProcess[]> {
  const known = new Set(processes.map(({ id }) => id));
  const children = new Map<number, ReportedProcess[]>();
  for (const process of processes) {
    const parent = process.parent !== undefined && known.has(process.parent) ? process.parent : NO_PARENT;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [process]);
    else siblings.push(process);
  }
  return children;
}
