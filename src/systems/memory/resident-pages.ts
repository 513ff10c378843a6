import type { PageTables } from "./page-tables";
import type { Ram } from "./ram";

/** A run of pages that lie one behind the other in the address space, and in the machine's memory as well. */
export interface PageRun {
  /** Virtual. */
  readonly address: bigint;
  /** In bytes: a multiple of 4 KiB; 0 now and then, so that whoever takes them gets a word in. */
  readonly size: number;
  /**
   * The machine's memory, zero-copy. Undefined for pages that the page table knows although they are not in RAM: swapped out, about to
   * be moved, or memory of a device.
   */
  readonly bytes: Uint8Array | undefined;
}

const PAGE = 0x1000;
const PRESENT = 0x1;
const LARGE = 0x80;
/** An entry that is not present and has this bit is a page that its process has forbidden itself (_PAGE_PROTNONE of Linux). */
const FORBIDDEN = 0x100;
const TWO_32 = 0x1_0000_0000;
const HIGH_ADDRESS = 0xfffff;
/** The number of tables after which a result is due even when all were empty: a hostile guest can have many. */
const TABLES_FOR_A_WORD = 256;
/** Long runs are cut, so that whoever takes them gets a word in. */
const LONGEST_RUN = 4 * 1024 * 1024;

interface Shape {
  /** The number of levels of tables. */
  readonly levels: number;
  /** In bytes. */
  readonly entrySize: 4 | 8;
}

const SHAPES: Readonly<Record<PageTables["mode"], Shape>> = {
  legacy: { levels: 2, entrySize: 4 },
  pae: { levels: 3, entrySize: 8 },
  "4-level": { levels: 4, entrySize: 8 },
  "5-level": { levels: 5, entrySize: 8 },
};

/** The target of a table's entry. */
interface Target {
  /** Physical; -1 when there is no such memory. */
  readonly physical: number;
  readonly isLeaf: boolean;
}

/** Pages that lie one behind the other: the number of the first, its physical address or -1, and how many there are. */
interface Stretch {
  readonly page: number;
  readonly physical: number;
  readonly count: number;
}

/** Finds which pages of an address space are in memory, by walking each of its page tables once. */
export class ResidentPages {
  readonly #ram: Ram;
  readonly #levels: number;
  readonly #entrySize: 4 | 8;
  readonly #entries: number;
  #tables = 0;

  constructor(ram: Ram, mode: PageTables["mode"]) {
    this.#ram = ram;
    const { levels, entrySize } = SHAPES[mode];
    this.#levels = levels;
    this.#entrySize = entrySize;
    this.#entries = PAGE / entrySize;
  }

  /** The number of tables that were read until now: those of a hostile guest may lead to each other. */
  get tables(): number {
    return this.#tables;
  }

  /**
   * Walks the pages of a range in the order of their addresses; pages that nobody has touched are left out. Memory is as it is
   * when a run is asked for.
   *
   * @param root the physical address of the highest table
   * @param start virtual; its page is the first one
   * @param end virtual, exclusive
   */
  *walk(root: number, start: bigint, end: bigint): Iterable<PageRun> {
    // Numbers of pages are exact: an address has at most 57 bits that count.
    const mask = (1n << BigInt(this.#entrySize === 4 || this.#levels === 3 ? 32 : this.#levels * 9 + 12)) - 1n;
    const first = Number((start & mask) >> 12n);
    const last = first + Number((end - (start & ~0xfffn) + 0xfffn) >> 12n);
    const base = (start & ~0xfffn) - BigInt(first) * 0x1000n;
    let run: Stretch | undefined;
    for (const next of this.#descend(root, this.#levels, 0, first, last)) {
      if (run && isContinued(run, next)) {
        run = { ...run, count: run.count + next.count };
        continue;
      }
      if (run) yield* this.#toRuns(base, run);
      run = next.count > 0 ? next : undefined;
      if (!run) yield { address: base + BigInt(next.page) * 0x1000n, size: 0, bytes: undefined };
    }
    if (run) yield* this.#toRuns(base, run);
  }

  *#toRuns(base: bigint, { page, physical, count }: Stretch): Iterable<PageRun> {
    const address = base + BigInt(page) * 0x1000n;
    const size = count * PAGE;
    const bytes = physical < 0 ? undefined : this.#ram.findBytes(physical, size);
    if (bytes || physical < 0 || count === 1) {
      yield { address, size, bytes };
      return;
    }
    // It lies across two pieces of RAM, or reaches beyond its end.
    for (let index = 0; index < count; index++) {
      const one = this.#ram.findBytes(physical + index * PAGE, PAGE);
      yield { address: address + BigInt(index * PAGE), size: PAGE, bytes: one };
    }
  }

  *#descend(table: number, level: number, tableFirst: number, first: number, end: number): Iterable<Stretch> {
    if (++this.#tables % TABLES_FOR_A_WORD === 0) yield { page: Math.max(first, tableFirst), physical: -1, count: 0 };
    const span = this.#entries ** (level - 1);
    const from = Math.max(0, Math.floor((first - tableFirst) / span));
    for (let index = from; index < this.#entries; index++) {
      const entryFirst = tableFirst + index * span;
      if (entryFirst >= end) return;
      const target = this.#readEntry(table, index, level);
      if (target === undefined) continue;
      if (!target.isLeaf) {
        yield* this.#descend(target.physical, level - 1, entryFirst, first, end);
        continue;
      }
      const to = Math.min(entryFirst + span, end);
      const step = LONGEST_RUN / PAGE;
      for (let page = Math.max(entryFirst, first); page < to; page += step) {
        const physical = target.physical < 0 ? -1 : target.physical + (page - entryFirst) * PAGE;
        yield { page, physical, count: Math.min(step, to - page) };
      }
    }
  }

  /** Undefined when nothing is there at all. */
  #readEntry(table: number, index: number, level: number): Target | undefined {
    const low = this.#ram.findWord32(table + index * this.#entrySize);
    const high = this.#entrySize === 8 ? this.#ram.findWord32(table + index * 8 + 4) : 0;
    if (low < 0 || high < 0 || (low === 0 && high === 0)) return undefined;
    if ((low & PRESENT) === 0) return this.#readAbsent(low, high, level);
    const isLarge = (low & LARGE) !== 0 && level > 1 && level <= 3 && !(this.#levels === 3 && level === 3);
    let physical = (high & HIGH_ADDRESS) * TWO_32 + ((low & 0xfffff000) >>> 0);
    if (isLarge && this.#entrySize === 4) {
      // Bits 13 to 20 of a 4 MiB page are bits 32 to 39 of its address (PSE-36).
      physical = ((low >>> 13) & 0xff) * TWO_32 + ((low & 0xffc00000) >>> 0);
    } else if (isLarge) {
      // Bit 12 is an attribute (PAT), and the bits above it up to the page's size must be 0.
      physical -= physical % (this.#entries ** (level - 1) * PAGE);
    }
    return { physical, isLeaf: level === 1 || isLarge };
  }

  /**
   * An entry that is neither present nor empty: swapped out; or forbidden and still in memory, its address inverted so that the
   * processor cannot guess at it (arch/x86/include/asm/pgtable-invert.h).
   */
  #readAbsent(low: number, high: number, level: number): Target | undefined {
    // Only pages and large pages are swapped or forbidden.
    if (level > 2) return undefined;
    if ((low & FORBIDDEN) === 0) return { physical: -1, isLeaf: true };
    const size = this.#entries ** (level - 1) * PAGE;
    const inverted = (~high & HIGH_ADDRESS) * TWO_32 + ((~low & 0xfffff000) >>> 0);
    const physical = inverted - (inverted % size);
    return { physical: this.#ram.findBytes(physical, size) ? physical : -1, isLeaf: true };
  }
}

function isContinued(run: Stretch, next: Stretch): boolean {
  if (run.page + run.count !== next.page || run.count + next.count > LONGEST_RUN / PAGE) return false;
  if (next.count === 0) return false;
  return next.physical < 0 ? run.physical < 0 : run.physical + run.count * PAGE === next.physical;
}
