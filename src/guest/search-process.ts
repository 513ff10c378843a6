import { setImmediate as nextTurn } from "node:timers/promises";
import { loadAddon } from "../machine/engine/load-addon";
import { callWithin } from "../config/limits";
import { TimeLimitError } from "../config/errors";
import type { AddressRange, MemorySearch, MemorySearchOptions } from "../systems/memory/search/memory-search";
import type { SearchPattern } from "../systems/memory/search/search-pattern";
import type { LinuxProcess } from "../systems/linux/linux-process";

/** About as long as the guest runs in between. */
const SLICE_MS = 5;
/** A regular expression that takes longer for what is searched in a slice will not end. */
const SLOWEST_SLICE_MS = 1000;

/** How the memory of a process is searched, and how long. */
export interface ProcessSearchOptions extends Omit<MemorySearchOptions, "findBytes"> {
  /** Ends the search: what was found until then is returned. */
  readonly signal?: AbortSignal;
  /** Is called with each piece of the work, during which the guest does not run; it returns what that returns. */
  readonly atOneMoment?: <Result>(look: () => Result) => Result;
}

/** The findings of a search of a process' memory. */
export interface ProcessSearch {
  /** For each pattern the first address at which it stands. */
  readonly hits: readonly (bigint | undefined)[];
  /** In bytes. */
  readonly searched: number;
  /** Pages that are not in RAM: those side by side as one, the first thousand only. */
  readonly unreadable: readonly AddressRange[];
  /** The size of these pages, in bytes. */
  readonly unreadableSize: number;
  /** Whether the process ended before all was searched. */
  readonly hasEnded: boolean;
  /** The time for which the guest was paused, in milliseconds. */
  readonly stoodStillMs: number;
}

/**
 * Searches the memory of a process for several patterns at once. The guest is paused for a few milliseconds at a time, and runs
 * in between: a page is searched as it is at its turn.
 *
 * @throws KernelDataError when the process is gone, or its mappings are damaged
 * @throws RangeError when a regular expression takes longer than a second for a few megabytes
 */
export async function searchProcess(
  process: LinuxProcess,
  patterns: readonly SearchPattern[],
  { signal, atOneMoment = (look) => look(), ...options }: ProcessSearchOptions = {},
): Promise<ProcessSearch> {
  let stoodStillMs = 0;
  let hasEnded = false;
  const measure = <Result>(act: () => Result): Result => {
    const startMs = performance.now();
    try {
      return atOneMoment(act);
    } finally {
      stoodStillMs += performance.now() - startMs;
    }
  };
  const findBytes = loadAddon().findBytes;
  const search = measure(() => process.createSearch(patterns, { ...options, findBytes }));
  while (!measure(() => step(search))) {
    await nextTurn();
    if (signal?.aborted) break;
    hasEnded = !measure(() => process.isAlive);
    if (hasEnded) break;
  }
  const { hits, searched, unreadable, unreadableSize } = search;
  return { hits, searched, unreadable, unreadableSize, hasEnded, stoodStillMs };
}

function step(search: MemorySearch): boolean {
  const act = (): boolean => search.step(performance.now() + SLICE_MS);
  try {
    return search.isSlow ? callWithin(SLOWEST_SLICE_MS, act) : act();
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    const advice = "write one that repeats no repetition, as (a+)+ does";
    throw new RangeError(`a regular expression takes too long: ${advice}`, { cause: error });
  }
}
