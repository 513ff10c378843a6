import type { ElfBytes } from "./elf-bytes";
import { PF_W, PF_X } from "./elf-header";
import { NameIndex } from "./name-index";
import type { GuestSymbol, SymbolTable } from "./symbol-table";

const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;
const STB_LOCAL = 0;
const STB_WEAK = 2;
const STT_OBJECT = 1;
const STT_FUNC = 2;
const STT_SECTION = 3;
const STT_FILE = 4;
const STT_TLS = 6;
const STT_GNU_IFUNC = 10;
const LONGEST_NAME = 4096;
/** How far back a symbol is looked for that contains an address, past smaller ones within it. */
const DEEPEST_NESTING = 32;

/** A table of an ELF file: its records and the names that they refer to. */
export interface ElfSymbolBytes {
  readonly symbols: Uint8Array;
  readonly strings: Uint8Array;
}

interface Record {
  readonly name: number;
  readonly address: bigint;
  readonly size: bigint;
  readonly info: number;
  readonly section: number;
}

/**
 * The symbols of an ELF file that have an address, by the file's own addresses.
 *
 * Of symbols with one address the first is the one that tells most: functions before data before what has no type, global
 * before weak before local names.
 */
export class ElfSymbols implements SymbolTable {
  readonly #names: NameIndex;
  /** Of the symbols in the order of their addresses. */
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #sizes: Float64Array;
  /** The number of the name, and the place of the symbol by the number of its name. */
  readonly #name: Uint32Array;
  readonly #place: Uint32Array;

  /** @param tables the dynamic symbols, the full table, or both; what both have counts once */
  constructor(elf: ElfBytes, tables: readonly ElfSymbolBytes[]) {
    const found = tables.flatMap((table) => readTable(elf, table));
    found.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : b.rank - a.rank));
    const symbols = found.filter((symbol, index) => !isRepeated(found, index, symbol));
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
    // By name, the one that tells most comes first, whatever its address.
    const byRank = Uint32Array.from(symbols.keys()).sort((a, b) => symbols[b]!.rank - symbols[a]!.rank || a - b);
    byRank.forEach((place, number) => {
      const { strings, nameStart, nameEnd, letter } = symbols[place]!;
      this.#names.add(strings, nameStart, nameEnd, letter.charCodeAt(0));
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
    const number = this.#name[place] as number;
    return {
      name: this.#names.name(number),
      address: this.#address(place),
      size: this.#sizes[place] as number,
      type: String.fromCharCode(this.#names.mark(number)),
    };
  }
}

interface FoundSymbol {
  readonly address: bigint;
  readonly size: bigint;
  readonly letter: string;
  readonly rank: number;
  readonly strings: Uint8Array;
  readonly nameStart: number;
  readonly nameEnd: number;
}

function readTable(elf: ElfBytes, { symbols, strings }: ElfSymbolBytes): FoundSymbol[] {
  const is64 = elf.header.bits === 64;
  const recordSize = is64 ? 24 : 16;
  const view = new DataView(symbols.buffer, symbols.byteOffset, symbols.length);
  const found: FoundSymbol[] = [];
  for (let at = 0; at + recordSize <= symbols.length; at += recordSize) {
    const record = is64 ? read64(view, at) : read32(view, at);
    const type = record.info & 0xf;
    const hasAddress = type !== STT_SECTION && type !== STT_FILE && type !== STT_TLS;
    if (!hasAddress || record.section === SHN_UNDEF || record.section === SHN_ABS) continue;
    if (record.name === 0 || record.name >= strings.length) continue;
    const nameEnd = findNameEnd(strings, record.name);
    if (nameEnd === record.name) continue;
    const { address, size } = record;
    const letter = letterOf(elf, record);
    found.push({ address, size, letter, rank: rankOf(record), strings, nameStart: record.name, nameEnd });
  }
  return found;
}

/** A name ends at its NUL, or at the version that GNU's linker writes behind it: printf@@GLIBC_2.2.5. */
function findNameEnd(strings: Uint8Array, start: number): number {
  const name = strings.subarray(start, start + LONGEST_NAME);
  const length = name.indexOf(0);
  const whole = length < 0 ? name : name.subarray(0, length);
  const version = whole.indexOf(0x40, 1);
  return start + (version < 0 ? whole.length : version);
}

function read64(view: DataView, at: number): Record {
  return {
    name: view.getUint32(at, true),
    info: view.getUint8(at + 4),
    section: view.getUint16(at + 6, true),
    address: view.getBigUint64(at + 8, true),
    size: view.getBigUint64(at + 16, true),
  };
}

function read32(view: DataView, at: number): Record {
  return {
    name: view.getUint32(at, true),
    address: BigInt(view.getUint32(at + 4, true)),
    size: BigInt(view.getUint32(at + 8, true)),
    info: view.getUint8(at + 12),
    section: view.getUint16(at + 14, true),
  };
}

/** Gives nm's letter, by the segment: section headers are not in memory. */
function letterOf(elf: ElfBytes, { address, info }: Record): string {
  const type = info & 0xf;
  const binding = info >> 4;
  if (type === STT_GNU_IFUNC) return "i";
  if (binding === STB_WEAK) return type === STT_OBJECT ? "V" : "W";
  const segment = elf.segmentOf(address);
  let letter = "R";
  if (!segment) letter = "A";
  else if ((segment.flags & PF_X) !== 0) letter = "T";
  else if ((segment.flags & PF_W) !== 0) letter = address - segment.address < segment.fileSize ? "D" : "B";
  return binding === STB_LOCAL ? letter.toLowerCase() : letter;
}

function rankOf({ info, size }: Record): number {
  const type = info & 0xf;
  const binding = info >> 4;
  const kind = type === STT_FUNC || type === STT_GNU_IFUNC ? 2 : type === STT_OBJECT ? 1 : 0;
  const reach = binding === STB_LOCAL ? 0 : binding === STB_WEAK ? 1 : 2;
  return kind * 8 + reach * 2 + (size > 0n ? 1 : 0);
}

/** A symbol is in both tables when it is exported; the two are neighbours after sorting, or nearly. */
function isRepeated(found: readonly FoundSymbol[], index: number, symbol: FoundSymbol): boolean {
  for (let at = index - 1; at >= 0 && index - at <= DEEPEST_NESTING; at--) {
    const other = found[at] as FoundSymbol;
    if (other.address !== symbol.address) return false;
    if (other.size === symbol.size && other.letter === symbol.letter && hasSameName(other, symbol)) return true;
  }
  return false;
}

function hasSameName(a: FoundSymbol, b: FoundSymbol): boolean {
  const size = a.nameEnd - a.nameStart;
  if (size !== b.nameEnd - b.nameStart) return false;
  for (let at = 0; at < size; at++) {
    if (a.strings[a.nameStart + at] !== b.strings[b.nameStart + at]) return false;
  }
  return true;
}
