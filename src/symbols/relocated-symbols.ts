import type { GuestSymbol, SymbolTable } from "./symbol-table";

/** Symbols of a file whose part from one address on has been moved, as KASLR does. */
export class RelocatedSymbols implements SymbolTable {
  readonly #symbols: SymbolTable;
  readonly #first: bigint;
  readonly #shift: bigint;

  /**
   * @param symbols at the addresses that were linked for
   * @param first the lowest address that was moved; lower ones are offsets, of per-CPU data
   * @param shift what was added
   */
  constructor(symbols: SymbolTable, first: bigint, shift: bigint) {
    this.#symbols = symbols;
    this.#first = first;
    this.#shift = shift;
  }

  get count(): number {
    return this.#symbols.count;
  }

  findAddress(name: string): bigint | undefined {
    const address = this.#symbols.findAddress(name);
    return address === undefined ? undefined : this.#move(address);
  }

  findSymbol(address: bigint): GuestSymbol | undefined {
    const linked = address - this.#shift;
    const symbol = linked >= this.#first ? this.#symbols.findSymbol(linked) : undefined;
    return symbol && { ...symbol, address: this.#move(symbol.address) };
  }

  *symbols(): IterableIterator<GuestSymbol> {
    for (const symbol of this.#symbols.symbols()) yield { ...symbol, address: this.#move(symbol.address) };
  }

  #move(address: bigint): bigint {
    return address >= this.#first ? address + this.#shift : address;
  }
}
