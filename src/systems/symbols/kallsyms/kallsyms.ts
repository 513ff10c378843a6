import { KallsymsAddresses } from "./kallsyms-addresses";
import type { KallsymsLocation } from "./kallsyms-location";
import { NameIndex } from "../name-index";
import type { GuestSymbol, SymbolTable } from "../symbol-table";

const TOKENS = 256;
/** KSYM_NAME_LEN of the kernel with the longest names (6.1 and newer), with some room. */
const LONGEST_NAME = 1024;

/** The kernel's own symbols, from its memory. Names are decompressed when they are first asked for. */
export class Kallsyms implements SymbolTable {
  readonly #addresses: KallsymsAddresses;
  readonly #location: KallsymsLocation;
  readonly #compressed: Uint8Array;
  readonly #tokens: readonly Uint8Array[];
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
      return image.slice(at, image.indexOf(0, at));
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
    const symbol = this.#index().find(name);
    return symbol === undefined ? undefined : this.#addresses.get(symbol);
  }

  /** Finds all addresses of a name: static functions of different files may share one. */
  findAddresses(name: string): bigint[] {
    return this.#index()
      .findAll(name)
      .map((symbol) => this.#addresses.get(symbol));
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
    for (const symbol of this.#index().numbersWith(texts)) yield this.#get(symbol);
  }

  #get(symbol: number): GuestSymbol {
    const index = this.#index();
    return {
      name: index.name(symbol),
      address: this.#addresses.get(symbol),
      size: this.#addresses.size(symbol),
      type: String.fromCharCode(index.mark(symbol)),
    };
  }

  #index(): NameIndex {
    this.#names ??= this.#decompress();
    return this.#names;
  }

  #decompress(): NameIndex {
    const from = this.#compressed;
    const names = new NameIndex(this.count);
    const name = new Uint8Array(LONGEST_NAME);
    for (let symbol = 0, at = 0; symbol < this.count; symbol++) {
      let length = from[at++] ?? 0;
      if ((length & 0x80) !== 0) length = (length & 0x7f) | ((from[at++] ?? 0) << 7);
      let size = 0;
      for (const end = Math.min(at + length, from.length); at < end; at++) {
        const token = this.#tokens[from[at] as number] as Uint8Array;
        if (size + token.length > LONGEST_NAME) continue;
        for (let i = 0; i < token.length; i++) name[size++] = token[i] as number;
      }
      // The first character is the type, as nm prints it.
      names.add(name, 1, size, size > 0 ? (name[0] as number) : 0);
    }
    return names;
  }
}
