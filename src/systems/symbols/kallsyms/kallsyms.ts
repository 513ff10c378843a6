import { CompressedNames, LONGEST_NAME } from "./compressed-names";
import { KallsymsAddresses } from "./kallsyms-addresses";
import type { KallsymsLocation } from "./kallsyms-location";
import { NameIndex } from "../name-index";
import type { GuestSymbol, SymbolTable } from "../symbol-table";

const TOKENS = 256;
/** In bytes; a longer one is made to take memory. */
const LONGEST_TOKEN = 1024;

/** The kernel's own symbols, from its memory. Names are indexed when they are first asked for, and decompressed when all are listed. */
export class Kallsyms implements SymbolTable {
  readonly #addresses: KallsymsAddresses;
  readonly #location: KallsymsLocation;
  readonly #compressed: Uint8Array;
  readonly #tokens: readonly Uint8Array[];
  #compressedNames: CompressedNames | undefined;
  #names: NameIndex | undefined;
  #made: (GuestSymbol | undefined)[] | undefined;

  /**
   * @param image the kernel image; copied from, not kept
   * @param start its virtual address
   * @param location what locateKallsyms() found in it
   * @throws RangeError when it is not there
   */
  constructor(image: Uint8Array, start: bigint, pointerSize: 4 | 8, location: KallsymsLocation) {
    const addresses = KallsymsAddresses.decode(image, start, pointerSize, location);
    if (!addresses) throw new RangeError("there are no addresses of symbols where kallsyms should be");
    this.#addresses = addresses;
    this.#location = location;
    this.#compressed = image.slice(location.names, location.markers);
    const view = new DataView(image.buffer, image.byteOffset, image.length);
    this.#tokens = Array.from({ length: TOKENS }, (_, token) => {
      const at = location.tokenTable + view.getUint16(location.tokenIndex + token * 2, true);
      const end = image.indexOf(0, at);
      return image.slice(at, Math.min(end < 0 ? at : end, at + LONGEST_TOKEN));
    });
  }

  get count(): number {
    return this.#location.symbolCount;
  }

  /** Returns whether a symbol begins at this address. */
  has(address: bigint): boolean {
    return this.#addresses.isPlausible([address]);
  }

  findAddress(name: string): bigint | undefined {
    const symbol = this.#index.find(name);
    return symbol === undefined ? undefined : this.#addresses.get(symbol);
  }

  /** Finds all addresses of a name: static functions of different files may share one. */
  findAddresses(name: string): bigint[] {
    return this.#index.findAll(name).map((symbol) => this.#addresses.get(symbol));
  }

  findSymbol(address: bigint): GuestSymbol | undefined {
    const symbol = this.#addresses.find(address);
    if (symbol === undefined) return undefined;
    // Those that are asked for are asked for again: making the name's text takes longest.
    this.#made ??= Array.from<GuestSymbol | undefined>({ length: this.count });
    return (this.#made[symbol] ??= this.#get(symbol));
  }

  *symbols(): IterableIterator<GuestSymbol> {
    for (let symbol = 0; symbol < this.count; symbol++) yield this.#get(symbol);
  }

  *symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol> {
    this.#names ??= this.#decompress();
    for (const symbol of this.#names.numbersWith(texts)) yield this.#get(symbol);
  }

  #get(symbol: number): GuestSymbol {
    return {
      name: this.#index.name(symbol),
      address: this.#addresses.get(symbol),
      size: this.#addresses.size(symbol),
      type: this.#index.type(symbol),
    };
  }

  get #index(): CompressedNames {
    const { count } = this;
    return (this.#compressedNames ??= new CompressedNames({ names: this.#compressed, tokens: this.#tokens, count }));
  }

  #decompress(): NameIndex {
    const names = new NameIndex(this.count);
    const record = new Uint8Array(LONGEST_NAME);
    for (let symbol = 0; symbol < this.count; symbol++) {
      names.add(record, 1, this.#index.decompress(symbol, record));
    }
    return names;
  }
}
