import type { PageTables } from "../page-tables";
import type { Ram } from "../ram";
import { type PageRun, ResidentPages } from "../resident-pages";
import { type ByteFinder, type SearchPattern, SearchWindow } from "./search-pattern";

/** A text of this size is made without going to the system for memory, which takes longer than searching it. */
const WINDOW = 64 * 1024;
/** No process has more of its memory in RAM; what shares pages with itself may have the same page at several addresses. */
const MOST_TIMES_RAM = 16;
/** A table is a page, too; and some are read again after each interruption. */
const MOST_TABLES = 2;
const PAGE = 0x1000n;
/** The number of unreadable ranges that are reported one by one. */
const MOST_UNREADABLE = 1000;

/** Addresses from start to end, exclusive. */
export interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

export interface MemorySearchOptions {
  /** Virtual addresses before it are not searched. */
  readonly offset?: bigint;
  /** The largest number of bytes that are searched. */
  readonly maxLength?: number;
  /** The function that finds bytes in bytes. */
  readonly findBytes?: ByteFinder;
}

/** Searches an address space for several patterns at once, a while at a time: for each the first place where it stands. */
export class MemorySearch {
  /** For each pattern the first address at which it stands; undefined as long as it was not found. */
  readonly hits: (bigint | undefined)[];
  /** Pages of the address space that are not in RAM; those side by side as one, and the first thousand only. */
  readonly unreadable: AddressRange[] = [];
  /** The size of all such pages, in bytes. */
  unreadableSize = 0;
  /** In bytes. */
  searched = 0;
  readonly #ranges: readonly AddressRange[];
  readonly #pages: ResidentPages;
  readonly #overlap: number;
  readonly #longest: number;
  readonly #mostTables: number;
  readonly #window: Buffer;
  readonly #findBytes: ByteFinder | undefined;
  #range = 0;
  /** The address up to which everything was searched. */
  #next: bigint | undefined;
  #fill = 0;
  /** The start of the window. */
  #start = 0n;

  /**
   * @param root the physical address of the highest page table
   * @param ranges those of the address space that are searched, in rising order; none overlap
   */
  constructor(
    ram: Ram,
    mode: PageTables["mode"],
    private readonly root: number,
    ranges: readonly AddressRange[],
    private readonly patterns: readonly SearchPattern[],
    { offset = 0n, maxLength = Infinity, findBytes }: MemorySearchOptions = {},
  ) {
    this.hits = patterns.map(() => undefined);
    this.#findBytes = findBytes;
    this.#ranges = join(ranges, offset);
    this.#pages = new ResidentPages(ram, mode);
    this.#overlap = Math.max(0, ...patterns.map(({ reach }) => reach - 1));
    const limit = MOST_TIMES_RAM * ram.knownEnd;
    this.#longest = Math.min(maxLength, limit);
    this.#mostTables = (MOST_TABLES * ram.knownEnd) / Number(PAGE);
    this.#window = Buffer.allocUnsafeSlow(WINDOW + this.#overlap);
  }

  /** Whether a pattern's search may take much longer than reading the memory does. */
  get isSlow(): boolean {
    return this.patterns.some(({ isSlow }) => isSlow);
  }

  /**
   * Continues the search. Memory is read as it is at that moment, also the part in which a pattern may have begun before.
   *
   * @param endMs by performance.now()
   * @returns whether all was searched, or nothing is left to be found
   */
  step(endMs: number): boolean {
    for (; this.#range < this.#ranges.length; this.#range++, this.#next = undefined) {
      if (this.#isDone()) return true;
      if (!this.#searchRange(this.#ranges[this.#range] as AddressRange, endMs)) return this.#isDone();
    }
    return true;
  }

  #isDone(): boolean {
    const isAllFound = this.hits.every((hit) => hit !== undefined);
    return isAllFound || this.searched >= this.#longest || this.#pages.tables > this.#mostTables;
  }

  /** Returns false when it has stopped before the range's end. */
  #searchRange(range: AddressRange, endMs: number): boolean {
    const next = this.#next ?? range.start;
    const again = next - BigInt(this.#overlap);
    this.#fill = 0;
    for (const run of this.#pages.walk(this.root, again > range.start ? again : range.start, range.end)) {
      if (run.bytes) {
        if (!this.#take(run as PageRun & { bytes: Uint8Array }, range, endMs)) return false;
      } else if (run.size > 0) {
        this.#noteUnreadable(run, range);
      }
      // Empty tables take time, too. What was only looked at again is no progress.
      const end = run.address + BigInt(run.size);
      if (this.#isDone() || (end > next && performance.now() >= endMs)) {
        this.#search();
        this.#next = max(this.#next ?? range.start, end);
        return false;
      }
    }
    this.#search();
    return true;
  }

  /** Puts a run's bytes into the window, and searches it whenever it is full. */
  #take({ address, size, bytes }: PageRun & { bytes: Uint8Array }, range: AddressRange, endMs: number): boolean {
    // A run is made of pages; the range need not be.
    let from = Number(max(range.start - address, 0n));
    const to = Number(min(range.end - address, BigInt(size)));
    if (this.#fill > 0 && this.#start + BigInt(this.#fill) !== address + BigInt(from)) {
      this.#search();
      this.#fill = 0;
    }
    while (from < to) {
      if (this.#fill === 0) this.#start = address + BigInt(from);
      const count = Math.min(to - from, this.#window.length - this.#fill);
      this.#window.set(bytes.subarray(from, from + count), this.#fill);
      this.#fill += count;
      from += count;
      if (this.#fill < this.#window.length) continue;
      this.#search();
      // What begins in here may end behind.
      this.#window.copyWithin(0, this.#fill - this.#overlap, this.#fill);
      this.#start += BigInt(this.#fill - this.#overlap);
      this.#fill = this.#overlap;
      if (this.#isDone() || performance.now() >= endMs) return false;
    }
    return true;
  }

  #search(): void {
    const end = this.#start + BigInt(this.#fill);
    const fresh = Number(end - max(this.#start, this.#next ?? this.#start));
    if (this.#fill === 0 || fresh <= 0) return;
    const tooMany = Math.max(0, this.searched + fresh - this.#longest);
    this.searched += fresh - tooMany;
    this.#next = end;
    const window = new SearchWindow(this.#window.subarray(0, this.#fill - tooMany), this.#findBytes);
    this.patterns.forEach((pattern, index) => {
      if (this.hits[index] !== undefined) return;
      const at = pattern.find(window);
      if (at >= 0) this.hits[index] = this.#start + BigInt(at);
    });
  }

  #noteUnreadable({ address, size }: PageRun, range: AddressRange): void {
    const start = max(address, this.#next ?? range.start);
    const end = min(address + BigInt(size), range.end);
    if (start >= end) return;
    this.unreadableSize += Number(end - start);
    const last = this.unreadable.at(-1);
    if (last?.end === start) this.unreadable[this.unreadable.length - 1] = { start: last.start, end };
    else if (this.unreadable.length < MOST_UNREADABLE) this.unreadable.push({ start, end });
  }
}

/** Ranges that follow each other are one, since what is looked for may lie across. */
function join(ranges: readonly AddressRange[], offset: bigint): AddressRange[] {
  const joined: AddressRange[] = [];
  for (const { start, end } of ranges) {
    const last = joined.at(-1);
    const from = max(start, offset);
    if (from >= end) continue;
    if (last?.end === from) joined[joined.length - 1] = { start: last.start, end };
    else joined.push({ start: from, end });
  }
  return joined;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
