import type { GuestSymbol, SymbolTable } from "./symbol-table";

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
