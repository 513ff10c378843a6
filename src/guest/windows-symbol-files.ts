import { SymbolsError } from "../systems/errors";
import { type ImageSymbols, readImageSymbols, type SymbolFinder } from "../systems/windows/symbols/image-symbols";
import { formatIdentity } from "../systems/windows/symbols/symbol-identity";
import { parseSymbolPath } from "../systems/windows/symbols/symbol-path";
import { SymbolStore } from "../systems/windows/symbols/symbol-store";

/**
 * Makes the finder of symbols for images of Windows: in a file that the user named, in rebox's own folder, and in the folders of
 * _NT_SYMBOL_PATH. No network is asked.
 *
 * @param file a PDB or ISF file, used for the image that it is for; another kind of file is not looked at
 */
export function createSymbolFinder(file: string | undefined): SymbolFinder {
  const store = new SymbolStore();
  const path = parseSymbolPath(process.env._NT_SYMBOL_PATH ?? "");
  /** An image is asked for again and again: by its identity, also when there are none. */
  const found = new Map<string, ImageSymbols>();
  let named: { readonly symbols: ImageSymbols | undefined } | undefined;
  return (record) => {
    named ??= { symbols: file === undefined ? undefined : readNamed(file) };
    if (named.symbols?.identity.guid === record.guid) return named.symbols;
    const key = formatIdentity(record);
    const symbols = found.get(key) ?? store.open(record, path);
    if (symbols) found.set(key, symbols);
    return symbols;
  };
}

/** A profile for Linux is none of Windows. */
function readNamed(file: string): ImageSymbols | undefined {
  try {
    return readImageSymbols(file);
  } catch (error) {
    if (error instanceof SymbolsError) return undefined;
    throw error;
  }
}
