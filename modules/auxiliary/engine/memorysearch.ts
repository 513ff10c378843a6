/** Keeps what passes through the memory of the target's processes; for the module of the same name. */
import { closeSync, openSync, writeSync } from "node:fs";
import { ALL_PROCESSES, getProcessList } from "rebox";
import type { GuestObserver } from "rebox/lab";
import { onAdoption, onTargetBegin } from "rebox/trusted";
import { describeFound, type FoundBytes, MemorySearcher } from "../../../scripts/_memory_searcher";
import { readSearch } from "../../../scripts/_search_patterns";
import { escape } from "../../../scripts/_system_call_arguments";

/** How much an event tells of what lies in front of the end of a match, in bytes. */
const SHOWN = 48;

/** What the module gives. */
export interface MemorySearchOptions {
  /** Absolute path. */
  readonly file: string;
  /** As in memory_search. */
  readonly search: string;
  /** Whether the whole system is searched. */
  readonly isOfAll: boolean;
  readonly most: number;
  readonly mostEvents: number;
}

/** An event that is told. */
export interface MemorySearchEvent {
  readonly pid: number | undefined;
  readonly process: string;
  readonly direction: "read" | "write";
  readonly what: string;
  readonly place: string;
  readonly text: string;
}

/** What the module gets at the end. */
export interface MemorySearchResult {
  readonly recorded: number;
}

export function observe({ callbacks, options, tell }: GuestObserver): () => MemorySearchResult {
  const { file, search, isOfAll, most, mostEvents } = options as unknown as MemorySearchOptions;
  const descriptor = openSync(file, "wx");
  let recorded = 0;
  const onFound = (found: FoundBytes): void => {
    const { pid, process, direction, what, place, before } = found;
    writeSync(descriptor, `${JSON.stringify({ number: ++recorded, ...describeFound(found) })}\n`);
    if (recorded > mostEvents) return;
    const text = escape(String.fromCharCode(...before.subarray(-SHOWN)));
    tell({ pid, process, direction, what, place, text } satisfies MemorySearchEvent);
  };
  const searcher = new MemorySearcher(callbacks, readSearch(search), most, onFound);
  const forget = isOfAll ? () => {} : followTarget(searcher);
  if (isOfAll) searcher.begin(ALL_PROCESSES);
  return () => {
    forget();
    searcher.remove();
    closeSync(descriptor);
    return { recorded };
  };
}

/** Has the address spaces of the target's processes looked at; vfork(2) shares them. @returns the function that ends it */
function followTarget(searcher: MemorySearcher): () => void {
  const spaces = new Map<number, bigint>();
  const set = (pid: number, pgd: bigint | undefined): void => {
    const before = spaces.get(pid);
    if (pgd === undefined) spaces.delete(pid);
    else spaces.set(pid, pgd);
    if (pgd !== undefined && pgd !== 0n) searcher.begin(pgd);
    if (before !== undefined && ![...spaces.values()].includes(before)) searcher.end(before);
  };
  const ends = [onAdoption((pid, pgd) => set(pid, pgd))];
  const begun = onTargetBegin((scope) => {
    ends.push(
      scope.follow({
        begins: ({ pid, pgd }) => set(pid, pgd),
        executes: ({ pid, pgd }) => set(pid, pgd),
        ends: ({ pid }) => set(pid, undefined),
      }),
    );
    for (const { pid, pgd } of getProcessList()) if (scope.findOrigin(pid) !== undefined) set(pid, pgd);
    return () => [...spaces.keys()].forEach((pid) => set(pid, undefined));
  });
  return () => [begun, ...ends].forEach((end) => end());
}
