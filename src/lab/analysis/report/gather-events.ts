import type { Trial } from "../../verdict/trial";
import type { Verdict } from "../../verdict/verdict";
import type { AnalysisEvent } from "../event-log";
import { decideOrigin, type FollowedEvent, followEvents } from "./follow-events";
import type { Origin, ProcessNode } from "./process-tree";

/** A process as report.json has it. The list is flat: a chain of processes may be longer than any depth that readers can take. */
export interface ReportedProcess extends Omit<ProcessNode, "parent" | "children"> {
  /** The `id` of its parent, when that began in the analysis too. */
  readonly parent: number | undefined;
}

/** Something that a process did. */
export interface Act extends AnalysisEvent {
  /** Who did it; undefined when it was not seen which processes are the target's. */
  readonly origin: Origin | undefined;
}

/** The part of a report that comes from the events of the analysis. */
export interface GatheredEvents {
  /** The verdict of signatures and rules on the target; undefined where none were asked, and where it did not run and nothing fits its bytes. */
  readonly verdict: Verdict | undefined;
  /** In the order of their beginnings. */
  readonly processes: readonly ReportedProcess[];
  /** It was seen which processes are the target's: each process and act has its origin. */
  readonly knowsTarget: boolean;
  /** Connections, and files written, removed and renamed; each act once, in order, up to a bound. */
  readonly network: readonly Act[];
  readonly files: readonly Act[];
  /** Acts on other processes, on the own rights and memory, and on the kernel. */
  readonly control: readonly Act[];
  /** The number of different acts that those lists leave out. */
  readonly leftOut: number;
  /** Paths of pictures, relative to the folder. */
  readonly screenshots: readonly string[];
  /** Every event in its order, up to a bound. */
  readonly timeline: readonly AnalysisEvent[];
  /** The number of events of each type, including those that are left out. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The most events that a report shows of the target, and again of all others; events.jsonl has them all. */
export const TIMELINE_LIMIT = 5_000;
/** The most acts of a kind that a report shows; those of others never take the place of the target's. */
export const ACT_LIMITS = { target: 100_000, system: 20_000 } as const;
const MOST_PICTURES = 10_000;

/**
 * Gathers what a report shows of the events of an analysis, and asks signatures and rules about them: all in one reading.
 *
 * @param folder the folder of the analysis
 * @param trial asks about what the target did; without it there is no verdict
 */
export function gatherEvents(folder: string, trial?: Trial): GatheredEvents {
  const gathering = new Gathering();
  const { nodes, knowsTarget } = followEvents(folder, trial === undefined ? [gathering] : [trial, gathering]);
  return {
    verdict: trial?.end(folder, knowsTarget),
    processes: nodes.map(({ children: _children, parent, ...node }) => ({ ...node, parent: parent?.id })),
    knowsTarget,
    ...gathering.end(knowsTarget),
  };
}

/** The lists of acts, by how the names of events begin. */
const KINDS = { "network.": "network", "file.": "files", "process.": "control", "kernel.": "control" } as const;
type ListName = (typeof KINDS)[keyof typeof KINDS];

class Gathering {
  readonly #counts = new Map<string, number>();
  readonly #timeline: AnalysisEvent[] = [];
  // The system's events, such as those of its boot, do not take the place of the target's.
  readonly #shown = { target: 0, system: 0 };
  readonly #screenshots: string[] = [];
  readonly #lists: Record<ListName, ActList> = { network: new ActList(), files: new ActList(), control: new ActList() };

  see(followed: FollowedEvent): void {
    const { event, origin } = followed;
    const { type, file } = event;
    this.#counts.set(type, (this.#counts.get(type) ?? 0) + 1);
    if (++this.#shown[origin === undefined ? "system" : "target"] <= TIMELINE_LIMIT) this.#timeline.push(event);
    const list = findList(type);
    if (list !== undefined) this.#lists[list].add(followed);
    else if (type === "screenshot" && typeof file === "string" && this.#screenshots.length < MOST_PICTURES)
      this.#screenshots.push(file);
  }

  end(knowsTarget: boolean) {
    const { network, files, control } = this.#lists;
    return {
      ...{ network: network.end(knowsTarget), files: files.end(knowsTarget), control: control.end(knowsTarget) },
      leftOut: network.leftOut + files.leftOut + control.leftOut,
      ...{ screenshots: this.#screenshots, timeline: this.#timeline, counts: Object.fromEntries(this.#counts) },
    };
  }
}

/** Tells acts from the beginnings and ends of processes, which the tree has, and from what modules tell of themselves. */
function findList(type: string): ListName | undefined {
  if (/^process\.(created|executed|ended|adopted)$/.test(type)) return undefined;
  const kind = type.slice(0, type.indexOf(".") + 1);
  return Object.hasOwn(KINDS, kind) ? KINDS[kind as keyof typeof KINDS] : undefined;
}

/** Acts of a kind, each once. */
class ActList {
  readonly #acts: FollowedEvent[] = [];
  readonly #known = new Set<string>();
  readonly #kept = { target: 0, system: 0 };
  leftOut = 0;

  add(followed: FollowedEvent): void {
    const { event, origin } = followed;
    const whose = origin === undefined ? "system" : "target";
    if (this.#kept[whose] >= ACT_LIMITS[whose]) return void this.leftOut++;
    const { time: _time, sequence: _sequence, instructions: _instructions, ...facts } = event;
    const key = `${origin} ${JSON.stringify(facts)}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.#kept[whose]++;
    this.#acts.push(followed);
  }

  end(knowsTarget: boolean): Act[] {
    return this.#acts.map(({ event, doer, origin }) => ({
      ...event,
      origin: knowsTarget ? decideOrigin(doer, origin) : undefined,
    }));
  }
}
