/** A named address of the guest. */
export interface GuestSymbol {
  readonly name: string;
  readonly address: bigint;
  /** In bytes, up to the next symbol when the guest does not say it; 0 when unknown. */
  readonly size: number;
  /** nm's letter: T and t are code, D, d, B, b, R, r are data; capitals are global. */
  readonly type: string;
}

/** Named addresses, found in both directions. */
export interface SymbolTable {
  readonly count: number;
  /** Finds the address of a name; the lowest one when several symbols have the name. */
  findAddress(name: string): bigint | undefined;
  /** Finds the symbol with the highest address that is not above this one, and within the table's range. */
  findSymbol(address: bigint): GuestSymbol | undefined;
  /** Iterates over all symbols in the order of their addresses. */
  symbols(): IterableIterator<GuestSymbol>;
  /** Iterates over the symbols whose name contains these texts one behind the other, each once, in any order; over all for none. */
  symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol>;
}

/** Symbols of a file, at the addresses where the file was loaded. */
export class ShiftedSymbols implements SymbolTable {
  readonly #symbols: SymbolTable;
  readonly #shift: bigint;
  /** The width of the addresses. */
  readonly bits: 32 | 64;

  /** @param shift what is to be added to the symbols' own addresses */
  constructor(symbols: SymbolTable, shift: bigint, bits: 32 | 64) {
    this.#symbols = symbols;
    this.#shift = shift;
    this.bits = bits;
  }

  get count(): number {
    return this.#symbols.count;
  }

  findAddress(name: string): bigint | undefined {
    const address = this.#symbols.findAddress(name);
    return address === undefined ? undefined : this.#move(address);
  }

  findSymbol(address: bigint): GuestSymbol | undefined {
    const symbol = this.#symbols.findSymbol(BigInt.asUintN(this.bits, address - this.#shift));
    return symbol && { ...symbol, address: this.#move(symbol.address) };
  }

  *symbols(): IterableIterator<GuestSymbol> {
    for (const symbol of this.#symbols.symbols()) yield { ...symbol, address: this.#move(symbol.address) };
  }

  *symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol> {
    for (const symbol of this.#symbols.symbolsWith(texts)) yield { ...symbol, address: this.#move(symbol.address) };
  }

  #move(address: bigint): bigint {
    return BigInt.asUintN(this.bits, address + this.#shift);
  }
}

/** Two tables as one: what the first does not know, the second is asked. Lists those of the first. */
export class LayeredSymbols implements SymbolTable {
  readonly #first: SymbolTable;
  /** The table that is asked second. */
  readonly second: SymbolTable;

  constructor(first: SymbolTable, second: SymbolTable) {
    this.#first = first;
    this.second = second;
  }

  get count(): number {
    return this.#first.count;
  }

  findAddress(name: string): bigint | undefined {
    return this.#first.findAddress(name) ?? this.second.findAddress(name);
  }

  /** The nearer of the two. */
  findSymbol(address: bigint): GuestSymbol | undefined {
    const [first, second] = [this.#first.findSymbol(address), this.second.findSymbol(address)];
    return first && second ? (second.address > first.address ? second : first) : (first ?? second);
  }

  symbols(): IterableIterator<GuestSymbol> {
    return this.#first.symbols();
  }

  symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol> {
    return this.#first.symbolsWith(texts);
  }
}

/** Symbols of which some are known, and the others are loaded when they are asked for. */
export class LazySymbols implements SymbolTable {
  readonly #known: ReadonlyMap<string, bigint>;
  readonly #load: () => SymbolTable;
  #table: SymbolTable | undefined;

  /**
   * @param known addresses by name
   * @param load called once, when the known ones are not enough
   */
  constructor(known: ReadonlyMap<string, bigint>, load: () => SymbolTable) {
    this.#known = known;
    this.#load = load;
  }

  get count(): number {
    return this.#get().count;
  }

  findAddress(name: string): bigint | undefined {
    return this.#known.get(name) ?? this.#get().findAddress(name);
  }

  findSymbol(address: bigint): GuestSymbol | undefined {
    return this.#get().findSymbol(address);
  }

  symbols(): IterableIterator<GuestSymbol> {
    return this.#get().symbols();
  }

  symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol> {
    return this.#get().symbolsWith(texts);
  }

  #get(): SymbolTable {
    this.#table ??= this.#load();
    return this.#table;
  }
}
