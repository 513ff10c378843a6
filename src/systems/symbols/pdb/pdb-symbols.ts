import { NameIndex } from "../name-index";
import type { GuestSymbol, SymbolTable } from "../symbol-table";
import type { SymbolRecords } from "./symbol-records";

const UNDERSCORE = 0x5f;
const AT = 0x40;
const ZERO = 0x30;
const NINE = 0x39;
const QUESTION = 0x3f;
const DOLLAR = 0x24;
/** The smallest record of a symbol with a place, in bytes: for the number of them at most. */
const SMALLEST_RECORD = 16;
const SMALL_LETTERS = 0x60;
const DEEPEST_NESTING = 32;
/** A place is sorted as one number: its RVA, how well its name is known, and its own number. */
const RANKS = 4;

/**
 * The symbols of a PDB file, at their RVAs.
 *
 * 32-bit code decorates names of C functions by how they are called: `_name`, `_name@8`, `@name@8`. Symbols are listed by the
 * name in the source, as debuggers show them, and found by either.
 *
 * A kernel has 40,000 of them: they are in few arrays, and sorted when an address is first asked for.
 */
export class PdbSymbols implements SymbolTable {
  readonly #names: NameIndex;
  readonly #isDecorated: boolean;
  /** By the number of the name. */
  readonly #rvas: Uint32Array;
  readonly #sizes: Uint32Array;
  readonly #ranks: Uint8Array;
  /** The numbers in the order of their addresses; what is in the file twice is there once. */
  #order: Uint32Array | undefined;

  /**
   * @param isDecorated whether names of C are decorated, as in 32-bit images
   * @throws PdbError when a record is damaged
   */
  constructor(records: SymbolRecords, isDecorated: boolean) {
    this.#isDecorated = isDecorated;
    const { bytes } = records.bytes;
    const most = Math.floor(bytes.length / SMALLEST_RECORD) + 1;
    this.#names = new NameIndex(most);
    this.#rvas = new Uint32Array(most);
    this.#sizes = new Uint32Array(most);
    this.#ranks = new Uint8Array(most);
    records.visitPlaces((rva, size, letter, nameStart, nameEnd) => {
      const { start, end } = isDecorated ? undecorate(bytes, nameStart, nameEnd) : { start: nameStart, end: nameEnd };
      if (end <= start) return;
      const number = this.#names.count;
      this.#names.add(bytes, start, end, letter);
      this.#rvas[number] = rva;
      this.#sizes[number] = size;
      this.#ranks[number] = rankName(bytes[start] as number, size);
    });
  }

  get count(): number {
    return this.#getOrder().length;
  }

  findAddress(name: string): bigint | undefined {
    const found = this.#findNamed(name);
    if (found !== undefined || !this.#isDecorated) return found;
    const bytes = Buffer.from(name, "latin1");
    const { start, end } = undecorate(bytes, 0, bytes.length);
    return end - start === name.length ? undefined : this.#findNamed(name.slice(start, end));
  }

  /** Finds the symbol that contains an address; one without a size contains all up to the next symbol. */
  findSymbol(address: bigint): GuestSymbol | undefined {
    if (address < 0n || address > 0xffffffffn) return undefined;
    const rva = Number(address);
    const order = this.#getOrder();
    let last = -1;
    for (let place = this.#search(rva); place >= 0 && place > last - DEEPEST_NESTING; place--) {
      const first = this.#firstOf(place);
      for (let at = first; at <= place; at++) {
        const number = order[at] as number;
        const size = this.#sizes[number] as number;
        if (size === 0 ? last < 0 : rva - (this.#rvas[number] as number) < size) return this.#get(number);
      }
      if (last < 0) last = place;
      place = first;
    }
    return undefined;
  }

  *symbols(): IterableIterator<GuestSymbol> {
    for (const number of this.#getOrder()) yield this.#get(number);
  }

  *symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol> {
    const listed = new Uint8Array(this.#names.count);
    for (const number of this.#getOrder()) listed[number] = 1;
    for (const number of this.#names.numbersWith(texts)) if (listed[number] === 1) yield this.#get(number);
  }

  /** Of several symbols of a name, one that other sources see comes first, then the lowest. */
  #findNamed(name: string): bigint | undefined {
    const keys = this.#names
      .findAll(name)
      .map((number) => (this.#names.mark(number) > SMALL_LETTERS ? 2 ** 32 : 0) + (this.#rvas[number] as number));
    return keys.length === 0 ? undefined : BigInt(keys.reduce((a, b) => Math.min(a, b)) % 2 ** 32);
  }

  #getOrder(): Uint32Array {
    if (this.#order) return this.#order;
    const { count } = this.#names;
    const keys = new Float64Array(count);
    // Below 2 to the 53: 32 bits of address, 2 of rank, and the records of a file of 4 GiB at most.
    const most = 2 ** Math.ceil(Math.log2(Math.max(2, count)));
    for (let number = 0; number < count; number++) {
      const rank = RANKS - 1 - (this.#ranks[number] as number);
      keys[number] = ((this.#rvas[number] as number) * RANKS + rank) * most + number;
    }
    keys.sort();
    const order = new Uint32Array(count);
    let used = 0;
    for (const key of keys) {
      const number = key % most;
      if (!this.#isListed(order, used, number)) order[used++] = number;
    }
    this.#order = order.slice(0, used);
    return this.#order;
  }

  /** A function of a module is among the public symbols too, there without its size; after sorting the two are near. */
  #isListed(order: Uint32Array, used: number, number: number): boolean {
    for (let at = used - 1; at >= 0 && used - at <= DEEPEST_NESTING; at--) {
      const other = order[at] as number;
      if (this.#rvas[other] !== this.#rvas[number]) return false;
      if (this.#names.isSame(other, number)) return true;
    }
    return false;
  }

  /** Finds the last symbol that is not above an address; -1 when all are. */
  #search(rva: number): number {
    const order = this.#getOrder();
    let from = 0;
    let to = order.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#rvas[order[middle] as number] as number) <= rva) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }

  /** Finds the first of the symbols with the address of this one; at most some, for a hostile file has thousands. */
  #firstOf(place: number): number {
    const order = this.#getOrder();
    const rva = this.#rvas[order[place] as number];
    let first = place;
    while (first > 0 && place - first < DEEPEST_NESTING && this.#rvas[order[first - 1] as number] === rva) first--;
    return first;
  }

  #get(number: number): GuestSymbol {
    return {
      name: this.#names.name(number),
      address: BigInt(this.#rvas[number] as number),
      size: this.#sizes[number] as number,
      type: String.fromCharCode(this.#names.mark(number)),
    };
  }
}

/** Of several names of one address, one with a size is shown first, and those of C++ and of the compiler last. */
function rankName(first: number, size: number): number {
  if (size > 0) return 2;
  return first === QUESTION || first === DOLLAR || first === AT ? 0 : 1;
}

/** Finds the name in the source of a name of C: without its leading underscore or at sign, and the size of its arguments. */
function undecorate(bytes: Uint8Array, start: number, end: number): { readonly start: number; readonly end: number } {
  const first = bytes[start];
  if (end - start < 2 || (first !== UNDERSCORE && first !== AT)) return { start, end };
  let at = end - 1;
  while (at > start && (bytes[at] as number) >= ZERO && (bytes[at] as number) <= NINE) at--;
  const hasSize = at < end - 1 && at > start + 1 && bytes[at] === AT;
  // What begins with an at sign and has no size is no decorated name.
  if (first === AT && !hasSize) return { start, end };
  return { start: start + 1, end: hasSize ? at : end };
}
