import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { Engine } from "../../machine/engine/engine";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { listStatesBefore, replaySpan } from "../../machine/recording/travel";
import { getInstructionCount } from "../../machine/state/instruction-count";
import { getRunningProcess } from "../../machine/state/processes";
import { KernelDataError } from "../../systems/errors";
import { findSystem } from "../guest";
import { setTravelNote } from "./breakpoint-list";
import type { BreakpointHit } from "./breakpoint-types";
import { type BreakpointPlace, watchPlace } from "./code-hooks";

/** Something that happened at a place in the past of a replay. */
export interface PastHit {
  /** The instructions that were executed before the one that did it. */
  readonly count: number;
  readonly cpuIndex: number;
  /** Of the instruction; behind it where the access is one. */
  readonly pc: bigint;
  readonly pgd: bigint;
  /** The process in whose address space it was, where the guest's system is known. */
  readonly process: string | undefined;
  readonly pid: number | undefined;
  /** Of the access, as BreakpointHit has them. */
  readonly address: bigint;
  readonly size: number;
  readonly value: bigint | undefined;
  /** The number of the breakpoint, where it is one's. */
  readonly breakpoint: number | undefined;
}

/** Collects what happens in a part of a replay that is executed once more. */
interface Collector {
  /** Of the part that was replayed last. */
  readonly hits: readonly PastHit[];
  /** Begins with another part: from a count up to, and without, another one. */
  begin(from: number, to: number): void;
}

type Hit = Omit<BreakpointHit, "breakpoint"> & Partial<Pick<BreakpointHit, "breakpoint">>;

/** Hits between two counts, the last of them when there are too many. */
class HitList implements Collector {
  #hits: PastHit[] = [];
  #from = 0;
  #to = 0;
  /** How many there were, those included that were dropped. */
  total = 0;

  /** @param most the number that is kept at least */
  constructor(private readonly most: number) {}

  get hits(): readonly PastHit[] {
    return this.#hits;
  }

  begin(from: number, to: number): void {
    this.#hits = [];
    this.total = 0;
    [this.#from, this.#to] = [from, to];
  }

  /** @returns whether it lies in the part that is asked for */
  add(hit: Hit): boolean {
    const count = getInstructionCount();
    if (count < this.#from || count >= this.#to) return false;
    this.total++;
    this.#hits.push(describePastHit(hit, count));
    if (this.#hits.length >= 2 * this.most) this.#hits = this.#hits.slice(-this.most);
    return true;
  }
}

/** Says who it was. Call where it happens. */
export function describePastHit({ cpuIndex, cpu, address, size, value, breakpoint }: Hit, count: number): PastHit {
  const pgd = getRunningProcess(cpuIndex);
  const process = findProcess(pgd);
  return {
    ...{ count, cpuIndex, pc: cpu.RIP, pgd, process: process?.name, pid: process?.pid, address, size, value },
    breakpoint: breakpoint?.number,
  };
}

function findProcess(pgd: bigint): { readonly name: string; readonly pid: number } | undefined {
  try {
    return findSystem()?.findProcess(pgd);
  } catch (error) {
    if (error instanceof KernelDataError) return undefined;
    throw error;
  }
}

/** Asks before each part of a search whether it is to go on. */
export type GoesOn = () => boolean;

/**
 * Finds what happened last at a place before a count. The replay is somewhere in between then.
 *
 * @returns undefined when it never happened, or when goesOn said no
 */
export async function findLastHit(
  place: BreakpointPlace,
  before: number,
  goesOn: GoesOn,
): Promise<PastHit | undefined> {
  const list = new HitList(1);
  return await withWatch(place, list, () => searchBack(before, list, goesOn));
}

/** Finds which breakpoint was hit last before a count, its condition being true. As findLastHit(). */
export async function findLastBreakpoint(before: number, goesOn: GoesOn): Promise<PastHit | undefined> {
  const list = new HitList(1);
  setTravelNote((hit) => void list.add(hit));
  try {
    return await searchBack(before, list, goesOn);
  } finally {
    setTravelNote(undefined);
  }
}

/** Finds what happened first at a place, before a count. The replay is a little behind it then. */
export async function findFirstHit(place: BreakpointPlace, before: number): Promise<PastHit | undefined> {
  const list = new HitList(1000);
  await withWatch(
    place,
    list,
    async () => {
      list.begin(0, before);
      await replaySpan(0, before);
    },
    () => Engine.get().pause(),
  );
  return list.hits[0];
}

/** Lists what happened at a place before a count, at most the last ones of that many, and tells how often it did. */
export async function listPastHits(
  place: BreakpointPlace,
  before: number,
  most: number,
): Promise<{ readonly hits: readonly PastHit[]; readonly total: number }> {
  const list = new HitList(most);
  await withWatch(place, list, async () => {
    list.begin(0, before);
    await replaySpan(0, before);
  });
  return { hits: list.hits.slice(-most), total: list.total };
}

/** Replays the past a part at a time, the last first, until something was found in one. */
async function searchBack(before: number, list: Collector, goesOn: GoesOn): Promise<PastHit | undefined> {
  let end = before;
  for (const start of listStatesBefore(before)) {
    if (!goesOn()) return undefined;
    list.begin(start, end);
    await replaySpan(start, end);
    const last = list.hits.at(-1);
    if (last) return last;
    end = start;
  }
  return undefined;
}

async function withWatch<Result>(
  place: BreakpointPlace,
  list: HitList,
  work: () => Promise<Result>,
  onHit?: () => Promise<void>,
): Promise<Result> {
  const owner = new ModuleOwner("search");
  const end = watchPlace(new CallbackManager(0, owner), place, (hit) => (list.add(hit) ? onHit?.() : undefined));
  try {
    return await work();
  } finally {
    end();
    owner.close();
  }
}
