import type { AnalysisEvent } from "../event-log";

/** Who caused something: the target, what rebox itself ran in the guest, or the guest's own system. */
export type Origin = "target" | "rebox" | "system";

/** A process of an analysis and those that it started. */
export interface ProcessNode {
  /** Its place in the order of beginnings: pids come again. */
  readonly id: number;
  readonly pid: number;
  readonly ppid: number | undefined;
  /** Its last name: a process changes it when it executes a program. */
  name: string;
  commandLine: string | undefined;
  /** ISO 8601. */
  readonly began: string;
  ended: string | undefined;
  origin: Origin;
  readonly parent: ProcessNode | undefined;
  readonly children: ProcessNode[];
}

/**
 * The processes that began in an analysis.
 *
 * A process that executes another program keeps its pid, so a second beginning of a living pid is the same process with a new name; a
 * pid that has ended and begins again is another process.
 */
export class ProcessHistory {
  readonly nodes: ProcessNode[] = [];
  readonly #living = new Map<number, ProcessNode>();
  /** Those that have executed the target, or have its environment. */
  readonly #targets: ProcessNode[] = [];

  /** Takes an event in its turn; events of other things change nothing. */
  add(event: AnalysisEvent): void {
    const { pid, ppid, name, commandLine, isTarget } = event as Record<string, unknown>;
    if (typeof pid !== "number") return;
    const known = this.#living.get(pid);
    if (event.type === "process.created") {
      const shown = typeof name === "string" ? name : "?";
      const line = typeof commandLine === "string" ? commandLine : undefined;
      if (known === undefined) this.#begin(event.time, pid, typeof ppid === "number" ? ppid : undefined, shown, line);
      else {
        known.name = shown;
        known.commandLine = line ?? known.commandLine;
        known.ended = undefined;
      }
    } else if (event.type === "process.executed" && known !== undefined) {
      if (typeof name === "string") known.name = name;
      if (typeof commandLine === "string") known.commandLine = commandLine;
      if (isTarget === true) this.#targets.push(known);
    } else if (event.type === "process.ended" && known !== undefined) {
      known.ended = event.time;
      this.#living.delete(pid);
    }
  }

  /** Finds the process that has a pid now. */
  findLiving(pid: unknown): ProcessNode | undefined {
    return typeof pid === "number" ? this.#living.get(pid) : undefined;
  }

  /** Returns the processes whose parents began before the analysis, in the order of their beginnings. */
  get roots(): ProcessNode[] {
    return this.nodes.filter(({ parent }) => parent === undefined);
  }

  /** Returns whether it was seen which processes are the target's. */
  get knowsTarget(): boolean {
    return this.#targets.length > 0;
  }

  /** Decides, at the end, who caused each process. */
  decideOrigins(): void {
    for (const target of this.#targets) spread(target, "target");
    // The shell that rebox types in is the system's own; all that it runs beside the target is for rebox.
    const [first] = this.#targets;
    if (first === undefined) return;
    const shell = first.ppid;
    for (const node of this.nodes) if (node.ppid === shell && node.origin !== "target") spread(node, "rebox");
  }

  #begin(began: string, pid: number, ppid: number | undefined, name: string, commandLine: string | undefined): void {
    const parent = ppid === undefined ? undefined : this.#living.get(ppid);
    const node: ProcessNode = {
      ...{ id: this.nodes.length + 1, pid, ppid, name, commandLine, began, ended: undefined },
      ...{ origin: "system", parent, children: [] },
    };
    this.nodes.push(node);
    this.#living.set(pid, node);
    parent?.children.push(node);
  }
}

/** Gives a process and all below it an origin, except those that are the target's already. A tree may be deeper than any stack. */
function spread(top: ProcessNode, origin: Origin): void {
  const waiting = [top];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node.origin === "target") continue;
    node.origin = origin;
    // Not by spreading arguments: there may be more children than a call takes.
    for (const child of node.children) waiting.push(child);
  }
}

/** Makes the tree of the processes that began in an analysis. @returns the processes whose parents began before it */
export function buildProcessTree(events: Iterable<AnalysisEvent>): ProcessNode[] {
  const history = new ProcessHistory();
  for (const event of events) history.add(event);
  history.decideOrigins();
  return history.roots;
}
