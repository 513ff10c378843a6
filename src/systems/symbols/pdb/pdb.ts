import { PdbError } from "../../errors";
import type { SymbolTable } from "../symbol-table";
import { type DebugInformation, MACHINE_AMD64, MACHINE_I386, readDebugInformation } from "./debug-information";
import { ImagePlaces } from "./image-places";
import { formatGuid } from "./guid";
import { MsfFile } from "./msf-file";
import { PdbBytes } from "./pdb-bytes";
import type { PdbSource } from "./pdb-source";
import { PdbSymbols } from "./pdb-symbols";
import { PdbTypes } from "./pdb-types";
import { SymbolRecords } from "./symbol-records";
import { TypeTable } from "./type-table";

const INFORMATION_STREAM = 1;
const TYPE_STREAM = 2;
/** The first version of the stream with a GUID: Visual C++ 7 (PdbImplVC70). */
const FIRST_WITH_GUID = 20000404;

/** A PDB file, Microsoft's debug information of an image. What is in it is read when it is asked for. */
export class Pdb {
  /** As 32 hexadecimal digits, capital. */
  readonly guid: string;
  /** The age that the file itself says; an image's record may say a lower one. */
  readonly age: number;
  readonly #file: MsfFile;
  readonly #information: DebugInformation | undefined;
  #types: PdbTypes | undefined;
  #symbols: PdbSymbols | undefined;
  #records: SymbolRecords | undefined;

  /**
   * @param origin for messages: the file's name
   * @throws PdbError when it is no PDB file, damaged, or for a processor other than x86
   */
  constructor(
    source: PdbSource,
    readonly origin: string,
  ) {
    this.#file = new MsfFile(source);
    const header = this.#file.readStream(INFORMATION_STREAM, "the stream with the GUID");
    const version = header.u32(0);
    if (version < FIRST_WITH_GUID) throw new PdbError(`it has version ${version}, without a GUID`);
    this.age = header.u32(8);
    this.guid = formatGuid(header.part(12, 16).bytes);
    this.#information = readDebugInformation(this.#file);
    const machine = this.#information?.machine ?? MACHINE_AMD64;
    if (machine !== MACHINE_AMD64 && machine !== MACHINE_I386) {
      throw new PdbError(`it is for the processor 0x${machine.toString(16)}: rebox reads those of x86`);
    }
  }

  get bits(): 32 | 64 {
    return this.#information?.machine === MACHINE_I386 ? 32 : 64;
  }

  /** PE's number of the processor. */
  get machine(): number {
    return this.#information?.machine ?? MACHINE_AMD64;
  }

  /** @throws PdbError when the type stream is damaged */
  get types(): PdbTypes {
    this.#types ??= new PdbTypes(
      new TypeTable(this.#file.readStream(TYPE_STREAM, "the type stream")),
      { typeNames: () => this.#getRecords().typeNames(), variables: () => this.#listVariables() },
      this.bits === 32 ? 4 : 8,
      this.origin,
    );
    return this.#types;
  }

  /** The symbols at their RVAs: distances from the image's base. @throws PdbError when the symbols are damaged */
  get symbols(): SymbolTable {
    this.#symbols ??= new PdbSymbols(this.#getRecords(), this.bits === 32);
    return this.#symbols;
  }

  #listVariables(): { readonly name: string; readonly type: number }[] {
    const records = this.#getRecords();
    const found: { name: string; type: number }[] = [];
    records.visitPlaces((_rva, _size, _letter, start, end, type) => {
      if (type !== 0) found.push({ name: records.bytes.text(start, end), type });
    });
    return found;
  }

  #getRecords(): SymbolRecords {
    if (this.#records) return this.#records;
    const information = this.#information ?? NO_INFORMATION;
    const { symbolStream } = information;
    const what = "the stream of symbols";
    const bytes =
      symbolStream === undefined ? new PdbBytes(new Uint8Array(), what) : this.#file.readStream(symbolStream, what);
    this.#records = new SymbolRecords(this.#file, information, new ImagePlaces(this.#file, information), bytes);
    return this.#records;
  }
}

const NO_INFORMATION: DebugInformation = {
  age: 0,
  machine: MACHINE_AMD64,
  symbolStream: undefined,
  sectionHeaders: undefined,
  originalSectionHeaders: undefined,
  omapFromSource: undefined,
  modules: [],
};
