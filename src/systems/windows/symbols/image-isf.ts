import { writeIsf } from "../../symbols/isf/isf-writer";
import { MACHINE_AMD64, MACHINE_I386 } from "../../symbols/pdb/debug-information";
import type { ImageSymbols } from "./image-symbols";

/**
 * Writes Volatility 3's symbol file (ISF) of an image for Windows, in pieces. Volatility looks for it below
 * `symbols/windows/NAME/GUID-AGE.json`.
 *
 * @param version of rebox
 * @throws PdbError when the types or symbols are damaged
 */
export function writeImageIsf(image: ImageSymbols, version: string): IterableIterator<string> {
  const { name: database, guid: GUID, age } = image.identity;
  const machine_type = image.bits === 32 ? MACHINE_I386 : MACHINE_AMD64;
  return writeIsf({
    types: [image.types],
    symbols: image.symbols.symbols(),
    system: { pdb: { GUID, age, database, machine_type } },
    version,
  });
}
