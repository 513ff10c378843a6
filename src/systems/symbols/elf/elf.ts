import { ElfBytes } from "./elf-bytes";
import { elfText, readElfDynamic } from "./elf-dynamic";
import { listImportSlots, type RelocationTable } from "./elf-relocations";
import { ELF_LAYOUT, type ElfSegment, PT_INTERP, PT_NOTE, readElfWord } from "./elf-header";
import type { ElfSource } from "./elf-source";
import { type ElfSymbolBytes, readElfSymbols } from "./elf-symbols";
import { addGoFunctions, readGoMark } from "./go-functions";
import { SortedSymbols } from "../sorted-symbols";

const SHT_SYMTAB = 2;
const SHT_NOTE = 7;
const SHT_DYNSYM = 11;
/** st_shndx of a symbol that another file defines (elf(5): SHN_UNDEF). */
const UNDEFINED = 0;
const LONGEST_PATH = 4096;
const NT_GNU_BUILD_ID = 3;
/** Elf32_Nhdr and Elf64_Nhdr alike: the sizes of name and description, and the type. */
const NOTE_HEADER_SIZE = 12;
/** "GNU" and its NUL as a little-endian word. */
const GNU = 0x00554e47;
const LARGEST_NOTES = 65536;
const LONGEST_BUILD_ID = 64;
const MOST_SYMBOLS = 0x100000;

interface Section {
  readonly name: number;
  readonly type: number;
  readonly flags: bigint;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** A section of an ELF file (elf(5): Elf64_Shdr). */
export interface ElfSection extends Omit<Section, "name" | "link"> {
  readonly name: string;
}

/** A symbol that the dynamic loader resolves. */
export interface ElfDynamicSymbol {
  readonly name: string;
  /** Whether the file has it; else another one must. */
  readonly isDefined: boolean;
}

/**
 * An ELF file: a program or library of the guest, from its page cache or from the memory of a process, or a kernel's debug
 * file (System V ABI, and elf(5)). Nothing in it is trusted: counts, offsets and names are bounded.
 */
export class Elf {
  readonly bits: 32 | 64;
  /** 1 relocatable, 2 executable, 3 shared or position-independent. */
  readonly type: number;
  /** 3 for i386, 62 for x86-64. */
  readonly machine: number;
  /** Of the file's own addresses, as all that follow. */
  readonly entry: bigint;
  /** The distance from the file's own addresses to those of the process; 0 without a base. */
  readonly bias: bigint;
  /** The name under which it is asked for; undefined for programs. */
  readonly soname: string | undefined;
  /** The libraries that it asks for. */
  readonly needed: readonly string[];
  /** Hexadecimal; undefined when the linker was not asked for one. */
  readonly buildId: string | undefined;
  readonly #bytes: ElfBytes;
  readonly #tables: readonly ElfSymbolBytes[];
  readonly #sections: readonly Section[];
  readonly #relocations: readonly RelocationTable[];
  readonly #dynamicTable: ElfSymbolBytes | undefined;
  #symbols: SortedSymbols | undefined;
  #isWhole = true;

  /** @throws ElfError when there is no readable ELF header */
  constructor(source: ElfSource) {
    const bytes = new ElfBytes(source);
    this.#bytes = bytes;
    this.bits = bytes.header.bits;
    this.type = bytes.header.type;
    this.machine = bytes.header.machine;
    this.entry = bytes.header.entry;
    this.bias = bytes.bias;
    const dynamic = readElfDynamic(bytes);
    this.soname = dynamic?.soname;
    this.needed = dynamic?.needed ?? [];
    this.#relocations = dynamic?.relocations ?? [];
    this.#sections = readSections(bytes);
    const tables = [dynamic && { symbols: dynamic.symbols, strings: dynamic.strings }, this.#fullTable()];
    this.#dynamicTable = tables[0]?.symbols && tables[0].strings ? (tables[0] as ElfSymbolBytes) : undefined;
    this.#tables = tables.filter((table): table is ElfSymbolBytes => table?.symbols != null && table.strings != null);
    this.buildId = this.#findBuildId();
  }

  /**
   * The symbols that have an address: the dynamic ones, all others when the file still has them, and the functions of a Go program,
   * which it always has.
   */
  get symbols(): SortedSymbols {
    if (this.#symbols === undefined) {
      const { symbols, isWhole } = addGoFunctions(
        readElfSymbols(this.#bytes, this.#tables),
        this.#bytes,
        this.sections,
      );
      this.#symbols = new SortedSymbols(symbols);
      this.#isWhole = isWhole;
    }
    return this.#symbols;
  }

  /** Whether `symbols` has all that the file has: the functions of a Go program may be in memory in part. */
  get hasAllSymbols(): boolean {
    return this.symbols.count >= 0 && this.#isWhole;
  }

  /** Reports whether another file has the same symbols, byte for byte; a Go program also its mark of the build, and all of its own. */
  hasTablesOf(other: Elf): boolean {
    if (!this.#isWhole) return false;
    const [own, others] = [this.#tables, other.#tables];
    if (this.bits !== other.bits || own.length !== others.length) return false;
    if (readGoMark(this.#bytes, this.sections) !== readGoMark(other.#bytes, other.sections)) return false;
    return own.every(({ symbols, strings }, index) => {
      const compared = others[index]!;
      return Buffer.compare(symbols, compared.symbols) === 0 && Buffer.compare(strings, compared.strings) === 0;
    });
  }

  /** The sections, the empty first one included; none in a file without their table, which programs do not need to run. */
  get sections(): ElfSection[] {
    const names = this.#sectionNames();
    return this.#sections.map(({ name, link: _link, ...facts }) => ({
      name: names ? elfText(names, name) : "",
      ...facts,
    }));
  }

  get segments(): readonly ElfSegment[] {
    return this.#bytes.segments;
  }

  /** The path of the dynamic loader that it asks for; undefined for a static program or a library. */
  get interpreter(): string | undefined {
    const segment = this.#bytes.segments.find(({ type }) => type === PT_INTERP);
    const bytes = segment && this.#bytes.findAt(Number(segment.offset), Math.min(Number(segment.fileSize), LONGEST_PATH)); // prettier-ignore
    return bytes && elfText(bytes, 0);
  }

  /** Lists the symbols that the dynamic loader resolves, in their order: what the file asks for, and what it has for others. */
  listDynamicSymbols(): ElfDynamicSymbol[] {
    // A hash table counts what others can find here; the section has all.
    const section = this.#sections.find(({ type }) => type === SHT_DYNSYM);
    const table = (section && this.#tableOf(section)) ?? this.#tables[0];
    if (table === undefined) return [];
    const [size, shndx, info] = this.bits === 64 ? [24, 6, 4] : [16, 14, 12];
    const view = new DataView(table.symbols.buffer, table.symbols.byteOffset, table.symbols.length);
    const symbols: ElfDynamicSymbol[] = [];
    for (let at = size; at + size <= view.byteLength; at += size) {
      const name = elfText(table.strings, view.getUint32(at, true));
      // A local symbol is nobody else's.
      if (name === "" || view.getUint8(at + info) >> 4 === 0) continue;
      symbols.push({ name, isDefined: view.getUint16(at + shndx, true) !== UNDEFINED });
    }
    return symbols;
  }

  /** Lists the places that the dynamic loader fills with the address of a symbol alone, by the file's own addresses. */
  listImports(): { readonly name: string; readonly address: bigint }[] {
    // The table of others' symbols need not be as long as its hash table says: those that are asked for are in no chain.
    const table = this.#sections.find(({ type }) => type === SHT_DYNSYM);
    const found = (table && this.#tableOf(table)) ?? this.#dynamicTable;
    if (found === undefined) return [];
    const size = this.bits === 64 ? 24 : 16;
    const view = new DataView(found.symbols.buffer, found.symbols.byteOffset, found.symbols.length);
    return [...listImportSlots(this.#bytes, this.#relocations)]
      .filter(({ symbol }) => (symbol + 1) * size <= view.byteLength)
      .map(({ symbol, address }) => ({ name: elfText(found.strings, view.getUint32(symbol * size, true)), address }));
  }

  /** Reads a section of the file by its name; undefined when it is not there or cannot be read as a whole. */
  findSection(name: string): Uint8Array | undefined {
    const names = this.#sectionNames();
    const section = names && this.#sections.find((one) => elfText(names, one.name) === name);
    return section && this.#bytes.findAt(section.offset, section.size);
  }

  /** Reads by the file's own addresses; what cannot be read is zero. Undefined when nothing of it can be read. */
  findBytes(address: bigint, size: number): Uint8Array | undefined {
    return this.#bytes.findAddress(address, size);
  }

  /** Reads by the file's own addresses; undefined when a part of it cannot be read. */
  findWhole(address: bigint, size: number): Uint8Array | undefined {
    return this.#bytes.findWhole(address, size);
  }

  #sectionNames(): Uint8Array | undefined {
    const section = this.#sections[this.#bytes.header.sectionNames];
    return section && this.#bytes.findAt(section.offset, section.size);
  }

  #fullTable(): ElfSymbolBytes | undefined {
    const table = this.#sections.find(({ type }) => type === SHT_SYMTAB);
    return table && this.#tableOf(table);
  }

  #tableOf(table: Section): ElfSymbolBytes | undefined {
    const names = this.#sections[table.link];
    if (!names) return undefined;
    const symbols = this.#bytes.findAt(table.offset, Math.min(table.size, MOST_SYMBOLS * (this.bits === 64 ? 24 : 16)));
    const strings = this.#bytes.findAt(names.offset, names.size);
    return symbols && strings && { symbols, strings };
  }

  /** Finds the build id among the notes, which are mapped with a program, or a section of a relocatable file. */
  #findBuildId(): string | undefined {
    const bytes = this.#bytes;
    const places = [
      ...bytes.segments
        .filter(({ type }) => type === PT_NOTE)
        .map(
          ({ address, fileSize }) =>
            () =>
              bytes.findAddress(address, Math.min(Number(fileSize), LARGEST_NOTES)),
        ),
      ...this.#sections
        .filter(({ type }) => type === SHT_NOTE)
        .map(
          ({ offset, size }) =>
            () =>
              bytes.findAt(offset, Math.min(size, LARGEST_NOTES)),
        ),
    ];
    for (const read of places) {
      const notes = read();
      const buildId = notes && findBuildId(notes);
      if (buildId !== undefined) return buildId;
    }
    return undefined;
  }
}

/** Finds a build id in notes: name size, description size, type, then both, each filled up to 4 bytes. */
export function findBuildId(notes: Uint8Array): string | undefined {
  const view = new DataView(notes.buffer, notes.byteOffset, notes.length);
  for (let at = 0; at + NOTE_HEADER_SIZE <= notes.length;) {
    const nameSize = view.getUint32(at, true);
    const size = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const name = at + NOTE_HEADER_SIZE;
    const start = name + Math.ceil(nameSize / 4) * 4;
    if (start + size > notes.length) return undefined;
    const isGnu = nameSize === 4 && view.getUint32(name, true) === GNU;
    if (isGnu && type === NT_GNU_BUILD_ID && size > 0 && size <= LONGEST_BUILD_ID) {
      return Buffer.from(notes.buffer, notes.byteOffset + start, size).toString("hex");
    }
    at = start + Math.ceil(size / 4) * 4;
  }
  return undefined;
}

function readSections(elf: ElfBytes): Section[] {
  const { bits, sectionsOffset, sectionSize, sectionCount } = elf.header;
  const bytes = elf.findAt(sectionsOffset, sectionSize * sectionCount);
  if (!bytes) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const layout = ELF_LAYOUT[bits].section;
  return Array.from({ length: sectionCount }, (_, index) => {
    const at = index * sectionSize;
    return {
      name: view.getUint32(at + layout.name, true),
      type: view.getUint32(at + layout.type, true),
      flags: readElfWord(view, bits, at + layout.flags),
      address: readElfWord(view, bits, at + layout.address),
      offset: Number(readElfWord(view, bits, at + layout.offset)),
      size: Number(readElfWord(view, bits, at + layout.bytes)),
      link: view.getUint32(at + layout.link, true),
    };
  });
}
