import type { AnalysisEvent } from "../event-log";

/** A process of an analysis and those that it started. */
export interface ProcessNode {
  readonly pid: number;
  /** Its last name: a process changes it when it executes a program. */
  name: string;
  commandLine: string | undefined;
  /** ISO 8601. */
  readonly began: string;
  ended: string | undefined;
  readonly children: ProcessNode[];
}

/**
 * Makes the tree of the processes that began in an analysis.
 *
 * A process that executes another program keeps its pid, so a second beginning of a living pid is the same process with a new name; a
 * pid that has ended and begins again is another process.
 *
 * @returns the processes whose parents began before the analysis, in the order of their beginnings
 */
export function buildProcessTree(events: Iterable<AnalysisEvent>): ProcessNode[] {
  const roots: ProcessNode[] = [];
  const living = new Map<number, ProcessNode>();
  for (const event of events) {
    const { pid, ppid, name, commandLine } = event as Record<string, unknown>;
    if (typeof pid !== "number") continue;
    const known = living.get(pid);
    if (event.type === "process.created") {
      const shown = typeof name === "string" ? name : "?";
      const line = typeof commandLine === "string" ? commandLine : undefined;
      if (known !== undefined) {
        known.name = shown;
        known.commandLine = line ?? known.commandLine;
        known.ended = undefined;
        continue;
      }
      const node = { pid, name: shown, commandLine: line, began: event.time, ended: undefined, children: [] };
      living.set(pid, node);
      (living.get(ppid as number)?.children ?? roots).push(node);
    } else if (event.type === "process.executed" && known !== undefined) {
      if (typeof name === "string") known.name = name;
      if (typeof commandLine === "string") known.commandLine = commandLine;
    } else if (event.type === "process.ended" && known !== undefined) {
      known.ended = event.time;
      living.delete(pid);
    }
  }
  return roots;
}
