/** A symbol that was asked for does not exist in this kernel. */
export class MissingSymbolError extends Error {
  override readonly name = "MissingSymbolError";

  /** @param symbol its name; several names joined by " or " */
  constructor(readonly symbol: string) {
    super(
      `this kernel has no symbol ${symbol}: it was built without the symbols of data (CONFIG_KALLSYMS_ALL) or has renamed it`,
    );
  }
}
