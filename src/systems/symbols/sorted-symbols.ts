import { NameIndex } from "./name-index";
import type { GuestSymbol, SymbolTable } from "./symbol-table";

/** The number of symbols before an address among which the one that contains it is looked for, past smaller ones within it. */
const DEEPEST_NESTING = 32;

/** A symbol that was read, with its name as bytes: there may be a million of them. */
export interface RawSymbol {
  readonly address: bigint;
  /** In bytes; 0 when it is not known. */
  readonly size: bigint;
  /** nm's letter. */
  readonly letter: string;
  /** Of several symbols with one address, or one name, the one with the highest rank comes first. */
  readonly rank: number;
  readonly names: Uint8Array;
  readonly nameStart: number;
  readonly nameEnd: number;
}

/** Symbols in the order of their addresses, in few arrays. */
export class SortedSymbols implements SymbolTable {
  readonly #names: NameIndex;
  /** Of the symbols in the order of their addresses. */
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #sizes: Float64Array;
  /** The number of the name, and the place of the symbol by the number of its name. */
  readonly #name: Uint32Array;
  readonly #place: Uint32Array;
  /** Symbols that were asked for: the same are asked for again. */
  readonly #made: (GuestSymbol | undefined)[];

  /** @param raw in any order; it is sorted. What is in it twice counts once. */
  constructor(raw: readonly RawSymbol[]) {
    const found = raw.toSorted((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : b.rank - a.rank));
    const symbols = found.filter((symbol, index) => !isRepeated(found, index, symbol));
    this.#made = new Array<GuestSymbol | undefined>(symbols.length);
    this.#names = new NameIndex(symbols.length);
    this.#low = new Uint32Array(symbols.length);
    this.#high = new Uint32Array(symbols.length);
    this.#sizes = new Float64Array(symbols.length);
    this.#name = new Uint32Array(symbols.length);
    this.#place = new Uint32Array(symbols.length);
    symbols.forEach(({ address, size }, place) => {
      this.#low[place] = Number(address & 0xffffffffn);
      this.#high[place] = Number(address >> 32n);
      this.#sizes[place] = Number(size);
    });
    // By name, the most informative one comes first, whatever its address.
    const byRank = Uint32Array.from(symbols.keys()).sort((a, b) => symbols[b]!.rank - symbols[a]!.rank || a - b);
    byRank.forEach((place, number) => {
      const { names, nameStart, nameEnd, letter } = symbols[place]!;
      this.#names.add(names, nameStart, nameEnd, letter.charCodeAt(0));
      this.#name[place] = number;
      this.#place[number] = place;
    });
  }

  get count(): number {
    return this.#low.length;
  }

  findAddress(name: string): bigint | undefined {
    const number = this.#names.find(name);
    return number === undefined ? undefined : this.#address(this.#place[number] as number);
  }

  /** Finds every address of a name: local symbols of different sources may share one. */
  findAddresses(name: string): bigint[] {
    return this.#names.findAll(name).map((number) => this.#address(this.#place[number] as number));
  }

  /** Finds the symbol that contains an address; one without a size contains all up to the next symbol. */
  findSymbol(address: bigint): GuestSymbol | undefined {
    if (address < 0n || address >= 1n << 64n) return undefined;
    const low = Number(address & 0xffffffffn);
    const high = Number(address >> 32n);
    let place = this.#search(low, high);
    for (let step = 0; step < DEEPEST_NESTING && place >= 0; step++) {
      const first = this.#firstOf(place);
      for (let at = first; at <= place; at++) {
        const distance = (high - this.#high[at]!) * 0x1_0000_0000 + (low - this.#low[at]!);
        const size = this.#sizes[at] as number;
        if (size === 0 ? step === 0 : distance < size) return this.#get(at);
      }
      place = first - 1;
    }
    return undefined;
  }

  *symbols(): IterableIterator<GuestSymbol> {
    for (let place = 0; place < this.count; place++) yield this.#get(place);
  }

  *symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol> {
    for (const number of this.#names.numbersWith(texts)) yield this.#get(this.#place[number] as number);
  }

  /** Finds the last symbol that is not above an address; -1 when all are. */
  #search(low: number, high: number): number {
    let from = 0;
    let to = this.count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const above = this.#high[middle] as number;
      if (above < high || (above === high && (this.#low[middle] as number) <= low)) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }

  /** Finds the first of the symbols with the address of this one; at most some, for a hostile table has thousands. */
  #firstOf(place: number): number {
    let first = place;
    while (
      first > 0 &&
      place - first < DEEPEST_NESTING &&
      this.#low[first - 1] === this.#low[place] &&
      this.#high[first - 1] === this.#high[place]
    ) {
      first--;
    }
    return first;
  }

  #address(place: number): bigint {
    return (BigInt(this.#high[place] as number) << 32n) | BigInt(this.#low[place] as number);
  }

  #get(place: number): GuestSymbol {
    const made = this.#made[place];
    if (made) return made;
    const number = this.#name[place] as number;
    const symbol = {
      name: this.#names.name(number),
      address: this.#address(place),
      size: this.#sizes[place] as number,
      type: String.fromCharCode(this.#names.mark(number)),
    };
    this.#made[place] = symbol;
    return symbol;
  }
}

/** A symbol is in both tables of an ELF file when it is exported; after sorting the two are neighbours, or nearly. */
function isRepeated(found: readonly RawSymbol[], index: number, symbol: RawSymbol): boolean {
  for (let at = index - 1; at >= 0 && index - at <= DEEPEST_NESTING; at--) {
    const other = found[at] as RawSymbol;
    if (other.address !== symbol.address) return false;
    if (other.size === symbol.size && other.letter === symbol.letter && hasSameName(other, symbol)) return true;
  }
  return false;
}

function hasSameName(a: RawSymbol, b: RawSymbol): boolean {
  const size = a.nameEnd - a.nameStart;
  if (size !== b.nameEnd - b.nameStart) return false;
  for (let at = 0; at < size; at++) {
    if (a.names[a.nameStart + at] !== b.names[b.nameStart + at]) return false;
  }
  return true;
}
