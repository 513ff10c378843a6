import type { GuestSymbol, SymbolTable } from "./symbol-table";

/** Symbols of a file, at the addresses where the file was loaded. */
export class ShiftedSymbols implements SymbolTable {
  readonly #symbols: SymbolTable;
  readonly #shift: bigint;
  readonly #bits: 32 | 64;

  /** @param shift what is to be added to the symbols' own addresses */
  constructor(symbols: SymbolTable, shift: bigint, bits: 32 | 64) {
    this.#symbols = symbols;
    this.#shift = shift;
    this.#bits = bits;
  }

  get count(): number {
    return this.#symbols.count;
  }

  findAddress(name: string): bigint | undefined {
    const address = this.#symbols.findAddress(name);
    return address === undefined ? undefined : this.#move(address);
  }

  findSymbol(address: bigint): GuestSymbol | undefined {
    const symbol = this.#symbols.findSymbol(BigInt.asUintN(this.#bits, address - this.#shift));
    return symbol && { ...symbol, address: this.#move(symbol.address) };
  }

  *symbols(): IterableIterator<GuestSymbol> {
    for (const symbol of this.#symbols.symbols()) yield { ...symbol, address: this.#move(symbol.address) };
  }

  *symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol> {
    for (const symbol of this.#symbols.symbolsWith(texts)) yield { ...symbol, address: this.#move(symbol.address) };
  }

  #move(address: bigint): bigint {
    return BigInt.asUintN(this.#bits, address + this.#shift);
  }
}
