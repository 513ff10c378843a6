import { PdbError } from "../../errors";
import type { DebugInformation } from "./debug-information";
import type { MsfFile } from "./msf-file";
import type { PdbBytes } from "./pdb-bytes";

/** IMAGE_SECTION_HEADER, of the PE format. */
const SECTION_HEADER = 40;
const SECTION_SIZE = 8;
const SECTION_ADDRESS = 12;
const SECTION_CHARACTERISTICS = 36;
const EXECUTABLE = 0x20000000;
const WRITABLE = 0x80000000;
const OMAP_ENTRY = 8;

/**
 * Converts places of symbols, a section's number and an offset in it, into RVAs: distances from the image's base.
 *
 * The code of some images was reordered after linking (Windows XP to 7). Then symbols name the sections of before, and a
 * table of moves (OMAP) says where each stretch went; RVA 0 stands for code that was removed.
 */
export class ImagePlaces {
  readonly #sections: readonly Section[];
  readonly #moves: PdbBytes | undefined;

  /** @throws PdbError when the file says that it has such tables, and has not */
  constructor(file: MsfFile, information: DebugInformation) {
    const { omapFromSource: moves, originalSectionHeaders: originals, sectionHeaders } = information;
    const isMoved = moves !== undefined && file.streamSize(moves) > 0;
    const headers = isMoved ? originals : sectionHeaders;
    if (isMoved && headers === undefined) {
      throw new PdbError("its image was reordered, and the sections of before are missing: it is damaged");
    }
    this.#sections = headers === undefined ? [] : readSections(file.readStream(headers, "the section headers"));
    this.#moves = isMoved ? file.readStream(moves, "the table of moved code") : undefined;
  }

  /**
   * Finds the RVA of a place; undefined when there is no such section, the place is outside of it or was removed.
   *
   * @param section from 1
   */
  findRva(section: number, offset: number): number | undefined {
    const found = this.#sections[section - 1];
    // The symbol of a section's end lies behind its last byte.
    if (found === undefined || offset > found.size) return undefined;
    const rva = found.address + offset;
    if (rva > 0xffffffff) return undefined;
    return this.#moves === undefined ? rva : findMoved(this.#moves, rva);
  }

  /** Finds nm's letter for what lies in a section: T for code, D for data, R for data that cannot be written. */
  letterOf(section: number): number {
    return this.#sections[section - 1]?.letter ?? DATA;
  }
}

interface Section {
  readonly size: number;
  readonly address: number;
  readonly letter: number;
}

const [CODE, DATA, CONSTANT] = [0x54, 0x44, 0x52];

function readSections(bytes: PdbBytes): Section[] {
  return Array.from({ length: Math.floor(bytes.size / SECTION_HEADER) }, (_, index) => {
    const at = index * SECTION_HEADER;
    const characteristics = bytes.u32(at + SECTION_CHARACTERISTICS);
    const letter = (characteristics & EXECUTABLE) !== 0 ? CODE : (characteristics & WRITABLE) !== 0 ? DATA : CONSTANT;
    return { size: bytes.u32(at + SECTION_SIZE), address: bytes.u32(at + SECTION_ADDRESS), letter };
  });
}

/** The last move that begins at or before an RVA is the one that counts. */
function findMoved(moves: PdbBytes, rva: number): number | undefined {
  let from = 0;
  let to = Math.floor(moves.size / OMAP_ENTRY);
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (moves.u32(middle * OMAP_ENTRY) <= rva) from = middle + 1;
    else to = middle;
  }
  if (from === 0) return undefined;
  const at = (from - 1) * OMAP_ENTRY;
  const target = moves.u32(at + 4);
  const moved = target + rva - moves.u32(at);
  return target === 0 || moved > 0xffffffff ? undefined : moved;
}
