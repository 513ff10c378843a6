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
  /** Goes through all symbols in the order of their addresses. */
  symbols(): IterableIterator<GuestSymbol>;
  /** Goes through the symbols whose name contains these texts one behind the other, each once, in any order; through all for none. */
  symbolsWith(texts: readonly string[]): IterableIterator<GuestSymbol>;
}
