import type { GuestSymbol, SymbolTable } from "./symbol-table";

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
