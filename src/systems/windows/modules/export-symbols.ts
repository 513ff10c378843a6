import { type RawSymbol, SortedSymbols } from "../../symbols/sorted-symbols";
import type { PeImage } from "../images/pe-image";

/** IMAGE_SCN_MEM_EXECUTE and IMAGE_SCN_MEM_WRITE (PE format, section flags). */
const EXECUTE = 0x20000000;
const WRITE = 0x80000000;

/**
 * Makes the names that an image exports symbols at their RVAs; forwarded names, which are in another image, are left out.
 *
 * @throws PeError when the table of exports is damaged or not in memory
 */
export function readExportSymbols(image: PeImage): SortedSymbols {
  const own = image.exports.list().filter(({ name, forwarder }) => name !== "" && forwarder === undefined);
  return new SortedSymbols(
    own.map(({ name, rva }): RawSymbol => {
      const names = Buffer.from(name, "latin1");
      const address = BigInt(rva);
      return { address, size: 0n, letter: letterOf(image, rva), rank: 0, names, nameStart: 0, nameEnd: names.length };
    }),
  );
}

function letterOf(image: PeImage, rva: number): string {
  const flags = image.findSection(rva)?.characteristics ?? 0;
  return (flags & EXECUTE) !== 0 ? "T" : (flags & WRITE) !== 0 ? "D" : "R";
}
