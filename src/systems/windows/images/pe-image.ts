import { PeError } from "../../errors";
import { findDebugRecord } from "./debug-record";
import { PeExports } from "./pe-exports";
import { parsePeHeader, PE_HEADER_SIZE, type PeHeader, type PeSection } from "./pe-header";
import type { PeSource } from "./pe-source";
import { PeUnwindTable } from "./pe-unwind";
import type { SymbolIdentity } from "../symbols/symbol-identity";

/** In an image whose memory is partly there, the start of the headers is read as far as it goes. */
const SMALLEST_HEADER = 0x400;

/**
 * A PE image: an executable, library or driver of Windows, from its file or out of memory. Its parts are read when they are
 * asked for; of an image in memory, any may be missing.
 */
export class PeImage {
  readonly header: PeHeader;
  readonly source: PeSource;
  #debugRecord: { readonly found: SymbolIdentity | undefined } | undefined;
  #exports: PeExports | undefined;
  #unwindTable: PeUnwindTable | undefined;

  /** @throws PeError when the source begins with no PE image for x86 */
  constructor(source: PeSource) {
    this.source = source;
    const start = source.read(0, PE_HEADER_SIZE) ?? source.read(0, SMALLEST_HEADER);
    if (start === undefined) throw new PeError("the headers of the PE image cannot be read");
    this.header = parsePeHeader(start);
  }

  /** The record that says which PDB file belongs to the image; undefined when there is none, or it is not in memory. */
  get debugRecord(): SymbolIdentity | undefined {
    this.#debugRecord ??= { found: findDebugRecord(this.header, this.source) };
    return this.#debugRecord.found;
  }

  /** The names that the image offers to others. @throws PeError when their table is damaged or not in memory */
  get exports(): PeExports {
    this.#exports ??= new PeExports(this.header, this.source);
    return this.#exports;
  }

  /** The functions of a 64-bit image, with how each is left. @throws PeError when their table is not in memory */
  get unwindTable(): PeUnwindTable {
    this.#unwindTable ??= new PeUnwindTable(this.header, this.source);
    return this.#unwindTable;
  }

  /** Finds the section that an RVA is in. */
  findSection(rva: number): PeSection | undefined {
    return this.header.sections.find((section) => rva >= section.rva && rva < section.rva + section.size);
  }
}
