import type { DebugInformation } from "./debug-information";
import type { ImagePlaces } from "./image-places";
import type { MsfFile } from "./msf-file";
import type { PdbBytes } from "./pdb-bytes";
import { PdbError } from "../../errors";

/** Kinds of symbol records, microsoft-pdb's cvinfo.h. */
const S_UDT = 0x1108;
const S_LDATA32 = 0x110c;
const S_GDATA32 = 0x110d;
const S_PUB32 = 0x110e;
const S_LPROC32 = 0x110f;
const S_GPROC32 = 0x1110;
const S_PROCREF = 0x1125;
const S_LPROCREF = 0x1127;
const S_LPROC32_ID = 0x1146;
const S_GPROC32_ID = 0x1147;
/** In the flags of S_PUB32: code, or a function. */
const IS_CODE = 3;

const CODE = 0x54;
const LOCAL_CODE = 0x74;
/** From a capital letter to a small one: what only its own source sees. */
const TO_LOCAL = 0x20;
/** The place of the name in a record with a place; of the smallest such record, the size. */
const NAME = 14;
/** The same of a function in its module. */
const FUNCTION_NAME = 39;

/**
 * Receives a symbol as it lies in the file: there are tens of thousands, for which no objects are made.
 *
 * @param rva its distance from the image's base
 * @param size of a function whose end is known, in bytes; else 0
 * @param letter nm's letter, as a number
 * @param nameStart where its name begins in the stream of symbols
 * @param nameEnd exclusive
 * @param type of data, the number of its type; 0 when the file does not say it
 */
export type SymbolVisitor = (
  rva: number,
  size: number,
  letter: number,
  nameStart: number,
  nameEnd: number,
  type: number,
) => void;

/** The name of a type, by its number: a typedef, or the tag of a struct. */
export interface PdbTypeName {
  readonly name: string;
  readonly type: number;
}

/** The symbols of a PDB file that have a place in the image, and its names of types. */
export class SymbolRecords {
  readonly #file: MsfFile;
  readonly #information: DebugInformation;
  readonly #places: ImagePlaces;
  readonly #modules = new Map<number, PdbBytes | undefined>();
  /** All records, in which names lie. */
  readonly bytes: PdbBytes;

  /** @param bytes the stream of symbol records */
  constructor(file: MsfFile, information: DebugInformation, places: ImagePlaces, bytes: PdbBytes) {
    this.#file = file;
    this.#information = information;
    this.#places = places;
    this.bytes = bytes;
  }

  /** Visits the symbols with a place. @throws PdbError when a record is damaged */
  visitPlaces(visit: SymbolVisitor): void {
    const { bytes } = this;
    for (let at = 0; at + 4 <= bytes.size;) {
      const end = recordEnd(bytes, at);
      if (end - at > NAME) this.#visit(at, end, visit);
      at = end;
    }
  }

  /** Lists the typedefs and tags. @throws PdbError when a record is damaged */
  *typeNames(): Generator<PdbTypeName> {
    const { bytes } = this;
    for (let at = 0; at + 4 <= bytes.size;) {
      const end = recordEnd(bytes, at);
      if (bytes.u16(at + 2) === S_UDT) yield { name: bytes.text(at + 8, end), type: bytes.u32(at + 4) };
      at = end;
    }
  }

  #visit(at: number, end: number, visit: SymbolVisitor): void {
    const { bytes } = this;
    const kind = bytes.u16(at + 2);
    const start = at + NAME;
    if (kind === S_PUB32 || kind === S_GDATA32 || kind === S_LDATA32) {
      const section = bytes.u16(at + 12);
      const rva = this.#places.findRva(section, bytes.u32(at + 8));
      if (rva === undefined) return;
      // The flags of a public symbol, or the type of data.
      const word = bytes.u32(at + 4);
      const isCode = kind === S_PUB32 && (word & IS_CODE) !== 0;
      const letter = isCode ? CODE : this.#places.letterOf(section);
      const nameEnd = bytes.textEnd(start, end);
      visit(rva, 0, kind === S_LDATA32 ? letter + TO_LOCAL : letter, start, nameEnd, kind === S_PUB32 ? 0 : word);
    } else if (kind === S_PROCREF || kind === S_LPROCREF) {
      const symbols = this.#moduleSymbols(bytes.u16(at + 12));
      const place = bytes.u32(at + 8);
      if (symbols === undefined || !isFunction(symbols, place)) return;
      const rva = this.#places.findRva(symbols.u16(place + 36), symbols.u32(place + 32));
      if (rva === undefined) return;
      const letter = kind === S_PROCREF ? CODE : LOCAL_CODE;
      visit(rva, symbols.u32(place + 16), letter, start, bytes.textEnd(start, end), 0);
    }
  }

  #moduleSymbols(number: number): PdbBytes | undefined {
    const known = this.#modules.get(number);
    if (known !== undefined || this.#modules.has(number)) return known;
    const module = this.#information.modules[number - 1];
    const bytes =
      module?.stream === undefined
        ? undefined
        : this.#file.readStream(module.stream, `the symbols of module ${number}`);
    const symbols = bytes?.part(0, Math.min(module?.symbolSize ?? 0, bytes.size));
    this.#modules.set(number, symbols);
    return symbols;
  }
}

/** Returns whether a module's record describes a function: its place, and how long it is. */
function isFunction(symbols: PdbBytes, at: number): boolean {
  if (at + FUNCTION_NAME > symbols.size) return false;
  const kind = symbols.u16(at + 2);
  return kind === S_GPROC32 || kind === S_LPROC32 || kind === S_GPROC32_ID || kind === S_LPROC32_ID;
}

/** Finds the end of a record. @throws PdbError when it reaches behind the end of all */
function recordEnd(bytes: PdbBytes, at: number): number {
  const end = at + 2 + bytes.u16(at);
  if (end > bytes.size || end < at + 4) throw new PdbError(`${bytes.what} has a damaged record at ${at}`);
  return end;
}
