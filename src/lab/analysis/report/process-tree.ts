import type { AnalysisEvent } from "../event-log";

/** Who caused something: the target, a process that acts for it, what rebox itself ran in the guest, or the guest's own system. */
export type Origin = "target" | "adopted" | "rebox" | "system";

/** A process of an analysis and those that it started. */
export interface ProcessNode {
  /** Its place in the order of beginnings: pids come again. */
  readonly id: number;
  readonly pid: number;
  readonly ppid: number | undefined;
  /** Its last name: a process changes it when it executes a program. */
  name: string;
  commandLine: string | undefined;
  /** The file that it executed last, and the file's hash, or why there is none. */
  executable?: string;
  sha256?: string;
  unhashed?: string;
  /** ISO 8601. */
  readonly began: string;
  ended: string | undefined;
  origin: Origin;
  /** The act by which it was adopted. */
  adoptedBy?: string;
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
  /** The first that was seen to be the target's. */
  #target: ProcessNode | undefined;

  /**
   * Takes an event in its turn; events of other things change nothing.
   *
   * @returns the process that the event is of, also when it has ended by it; undefined for one that began before the analysis
   */
  add(event: AnalysisEvent): ProcessNode | undefined {
    if (event.type === "machine.restarted") this.#restart(event.time);
    const { pid, ppid, name, commandLine, origin, act } = event as Record<string, unknown>;
    if (typeof pid !== "number") return undefined;
    if (event.type === "process.adopted") this.#adopt(event, pid, typeof name === "string" ? name : "?", act);
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
      this.#note(this.#living.get(pid)!, origin);
    } else if (event.type === "process.executed" && known !== undefined) {
      if (typeof name === "string") known.name = name;
      if (typeof commandLine === "string") known.commandLine = commandLine;
      noteProgram(known, event);
      this.#note(known, origin);
    } else if (event.type === "process.ended" && known !== undefined) {
      known.ended = event.time;
      this.#living.delete(pid);
    }
    return this.#living.get(pid) ?? known;
  }

  /** Returns the processes whose parents began before the analysis, in the order of their beginnings. */
  get roots(): ProcessNode[] {
    return this.nodes.filter(({ parent }) => parent === undefined);
  }

  /** Returns whether it was seen which processes are the target's. */
  get knowsTarget(): boolean {
    return this.#target !== undefined;
  }

  /** Decides, at the end, which processes rebox has caused: until the target has begun, it is not known where rebox works. */
  decideOrigins(): void {
    // The shell that rebox types in is the system's own; all that it runs beside the target is for rebox.
    if (this.#target === undefined) return;
    const shell = this.#target.ppid;
    for (const node of this.nodes) if (node.ppid === shell && !isOfTarget(node.origin)) spread(node, "rebox");
  }

  /** No process outlives its kernel. */
  #restart(time: string): void {
    for (const node of this.#living.values()) node.ended = time;
    this.#living.clear();
  }

  /** One that was there before the analysis is shown from its adoption on. */
  #adopt(event: AnalysisEvent, pid: number, name: string, act: unknown): void {
    if (!this.#living.has(pid)) this.#begin(event.time, pid, undefined, name, undefined);
    const node = this.#living.get(pid)!;
    node.origin = "adopted";
    if (typeof act === "string") node.adoptedBy = act;
  }

  #note(node: ProcessNode, origin: unknown): void {
    if (origin !== "target" && origin !== "adopted") return;
    node.origin = origin;
    if (origin === "target") this.#target ??= node;
  }

  #begin(began: string, pid: number, ppid: number | undefined, name: string, commandLine: string | undefined): void {
    const parent = ppid === undefined ? undefined : this.#living.get(ppid);
    const node: ProcessNode = {
      ...{ id: this.nodes.length + 1, pid, ppid, name, commandLine, began, ended: undefined },
      // All that it starts is its own; what it has started before it was taken into the scope is not.
      ...{ origin: isOfTarget(parent?.origin) ? parent!.origin : "system", parent, children: [] },
    };
    this.nodes.push(node);
    this.#living.set(pid, node);
    parent?.children.push(node);
  }
}

/** The programs that a process executed before are no longer in it. */
function noteProgram(node: ProcessNode, { executable, sha256, unhashed }: AnalysisEvent): void {
  delete node.executable;
  delete node.sha256;
  delete node.unhashed;
  if (typeof executable === "string") node.executable = executable;
  if (typeof sha256 === "string") node.sha256 = sha256;
  if (typeof unhashed === "string") node.unhashed = unhashed;
}

/** Returns whether the target caused something, itself or through others. */
export function isOfTarget(origin: Origin | undefined): boolean {
  return origin === "target" || origin === "adopted";
}

/** Gives a process and all below it an origin, except those that are the target's already. A tree may be deeper than any stack. */
function spread(top: ProcessNode, origin: Origin): void {
  const waiting = [top];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (isOfTarget(node.origin)) continue;
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
