/**
 * Finds bytes that pass through memory while the guest runs, and the code that reads and writes them:
 *
 *   custom memory_search WHAT ...            prints each match: of each place of code the first ones
 *   custom memory_search_to FILE WHAT ...    writes them into a file, a JSON object a line, such as results/found.jsonl
 *   custom memory_search_places              counts all matches, by place of code
 *   custom memory_search_end
 *
 * WHAT is, also several: text="my password", in UTF-8 and UTF-16 or encodings=NAME,NAME; regex=[0-9]{16}; bytes=de??beef; keys, for AES keys
 * that are expanded. ignorecase; reads or writes alone; stack, with the functions that have led there; process=PROCESS, also several: a pid
 * in decimal, a pgd such as 0x1f3c000, or a name with * and ?; without it the whole system with the kernel.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { CallbackManager } from "rebox";
import { showPlace } from "./_api_calls";
import { describeFound, type FoundBytes, MemorySearcher } from "./_memory_searcher";
import { readNewFile } from "./_new_file";
import { readSearch } from "./_search_patterns";
import { escape } from "./_system_call_arguments";

/** How often the same is told of a place of code. */
const MOST_OF_A_PLACE = 3;
/** How many bytes in front of the end of a match are printed, and behind it. */
const SHOWN_BEFORE = 48;
const SHOWN_BEHIND = 16;

/** Files go into the folder "results" beside pyrebox.conf, which grants this. */
export const permissions = ["fs:results"];

let callbacks: CallbackManager;
let print: (text: string) => void;
let searcher: MemorySearcher | undefined;
let number = 0;

export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {
  callbacks = new CallbackManager(moduleHandle);
  print = printer;
}

export function clean(): void {
  do_memory_search_end();
  callbacks.clean();
}

/**
 * Searches, in place of a search that is going on, and prints what is found.
 *
 * @param line what, where and how
 */
export function do_memory_search(line: string): string {
  return begin(line, (found) => {
    print(showFound(found));
    for (const { name, address } of found.stack) print(`    ${showPlace(name, address)}`);
  });
}

/**
 * Searches, and writes what is found into a file.
 *
 * @param line the file; one that exists is written anew; and what is searched for
 */
export function do_memory_search_to(line: string): string {
  const [, path = "", what = ""] = /^\s*(\S*)\s*(.*)$/s.exec(line) ?? [];
  const file = readNewFile(path);
  const answer = begin(what, (found) =>
    appendFileSync(file, `${JSON.stringify({ number, ...describeFound(found) })}\n`),
  );
  writeFileSync(file, "");
  return `${answer}, into ${file}`;
}

/** Lists where how much was found, most first. */
export function do_memory_search_places(): string {
  const places = searcher?.count() ?? [];
  return (
    places
      .sort((one, other) => other.times - one.times)
      .map(
        ({ times, direction, what, process, place }) =>
          `${String(times).padStart(10)} ${direction} by ${place} in ${escape(process) || "?"}: ${what}`,
      ) // prettier-ignore
      .join("\n") || "nothing was found"
  );
}

/** Ends the search. */
export function do_memory_search_end(): string {
  searcher?.remove();
  searcher = undefined;
  return `${number} matches were told`;
}

function begin(line: string, onFound: (found: FoundBytes) => void): string {
  const search = readSearch(line);
  do_memory_search_end();
  number = 0;
  searcher = new MemorySearcher(callbacks, search, MOST_OF_A_PLACE, (found) => {
    number++;
    onFound(found);
  });
  searcher.followNamed();
  const what = [...search.labels, ...(search.hasKeys ? ["AES keys"] : [])];
  return `searching for ${what.join(", ")}`;
}

function showFound({ direction, what, isInMemory, pid, process, place, end, before, behind }: FoundBytes): string {
  const who = pid === undefined ? "?" : `${pid} ${escape(process)}`;
  const where = isInMemory ? `up to 0x${end.toString(16)}` : "byte after byte";
  return `${number} ${who} ${direction} by ${place}, ${where}: ${what} "${showBytes(before.subarray(-SHOWN_BEFORE))}|${showBytes(behind.subarray(0, SHOWN_BEHIND))}"`; // prettier-ignore
}

function showBytes(bytes: Uint8Array): string {
  return escape(String.fromCharCode(...bytes));
}
