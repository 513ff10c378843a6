/** Makes a file of a program or library out of its memory, which tools open: for dumper. ELF of 64 bits, little-endian (elf(5)). */
import { ElfDynamic, type ElfImport, type ElfSection } from "./_elf_dynamic";

const PAGE = 0x1000n;
const [EHDR_SIZE, PHDR_SIZE, SHDR_SIZE] = [64, 56, 64];
/** What a hostile program says of its size ends there. */
const MOST_BYTES = 1n << 29n;
const MOST_SEGMENTS = 64;
/** Types of segments and sections, and flags of both. */
const [PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_GNU_EH_FRAME] = [1, 2, 3, 4, 0x6474e550];
const [SHT_PROGBITS, SHT_STRTAB, SHT_NOTE] = [1, 3, 7];
const [PF_X, PF_W] = [1, 2];
/** Of Elf64_Sym; symbols of files have numbers of sections, and some that are none. */
const [SYMBOL_SIZE, SYMBOL_SECTION, SYMBOL_VALUE] = [24, 6, 8];
const [SHN_UNDEF, SHN_LORESERVE, SHN_ABS] = [0, 0xff00, 0xfff1];
const [SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR] = [1, 2, 4];

/** A file that was made of memory. */
export interface ElfImage {
  readonly bytes: Buffer;
  readonly imports: readonly ElfImport[];
  readonly sections: readonly string[];
}

interface Segment {
  readonly at: number;
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly memorySize: bigint;
}

/** Memory of the process. */
type ReadMemory = (address: bigint, size: number) => Uint8Array;

/**
 * Makes a file. Addresses in it are those for which it was linked: what the loader has added to them is taken away again, in its table for
 * the loader and where it has relocated addresses of its own. Of the addresses of other modules it keeps those that are there.
 *
 * @param base where the file's first byte is mapped
 * @param read reads the process' memory; zeros where there is none
 * @returns undefined when no program or library of 64 bits is there
 */
export function makeElfImage(base: bigint, read: ReadMemory): ElfImage | undefined {
  const head = toView(read(base, Number(PAGE)));
  // ELFMAG, ELFCLASS64, ELFDATA2LSB.
  if (head.getUint32(0, false) !== 0x7f454c46 || head.getUint16(4, false) !== 0x0201) return undefined;
  const segments = readSegments(head);
  const loads = segments.filter(({ type }) => type === PT_LOAD);
  if (loads.length === 0) return undefined;
  const lowest = loads.reduce((low, { address }) => (address < low ? address : low), loads[0]!.address) & ~(PAGE - 1n);
  const highest = loads.reduce((high, { address, memorySize }) => {
    const end = address + memorySize;
    return end > high ? end : high;
  }, 0n);
  if (highest <= lowest || highest - lowest > MOST_BYTES) return undefined;
  const bias = base - lowest;
  const memory = Buffer.alloc(Number(highest - lowest));
  for (const { address, memorySize } of loads) {
    const from = address & ~(PAGE - 1n);
    memory.set(read(from + bias, Number(address + memorySize - from)), Number(from - lowest));
  }
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  const linked =
    dynamic && new ElfDynamic({ memory, lowest, bias }, { address: dynamic.address, size: dynamic.memorySize });
  const imports = linked?.listImports() ?? [];
  linked?.undoRelocations();
  fixSegments(memory, segments, lowest);
  const sections = [...(linked?.listSections() ?? []), ...listSegmentSections(segments)];
  const inside = sections.filter(({ address, size }) => address >= lowest && address + size <= highest);
  moveSymbols(memory, inside, lowest);
  return { bytes: addSections(memory, inside, lowest), imports, sections: inside.map(({ name }) => name) };
}

function readSegments(head: DataView): Segment[] {
  const [table, size, count] = [head.getBigUint64(32, true), head.getUint16(54, true), head.getUint16(56, true)];
  if (size !== PHDR_SIZE || count > MOST_SEGMENTS || table + BigInt(count * size) > PAGE) return [];
  return Array.from({ length: count }, (_, index) => {
    const at = Number(table) + index * size;
    return {
      ...{ at, type: head.getUint32(at, true), flags: head.getUint32(at + 4, true) },
      ...{ address: head.getBigUint64(at + 16, true), memorySize: head.getBigUint64(at + 40, true) },
    };
  });
}

/** Segments lie in the file as they do in memory; what was no part of the file, .bss, is one now. */
function fixSegments(memory: Buffer, segments: readonly Segment[], lowest: bigint): void {
  for (const { at, type, address, memorySize } of segments) {
    if (address < lowest) continue;
    memory.writeBigUInt64LE(address - lowest, at + 8);
    if (type === PT_LOAD) memory.writeBigUInt64LE(memorySize, at + 32);
  }
}

/** Sections that are whole segments: the names are the usual ones, with a number from the second on. */
function listSegmentSections(segments: readonly Segment[]): ElfSection[] {
  const counts = new Map<string, number>();
  return segments.flatMap(({ type, flags, address, memorySize: size }) => {
    const found = findSectionKind(type, flags);
    if (found === undefined || size === 0n) return [];
    const count = (counts.get(found.name) ?? 0) + 1;
    counts.set(found.name, count);
    return [{ ...found, name: count === 1 ? found.name : `${found.name}.${count}`, address, size }];
  });
}

function findSectionKind(type: number, flags: number): Pick<ElfSection, "name" | "type" | "flags"> | undefined {
  switch (type) {
    case PT_INTERP:
      return { name: ".interp", type: SHT_PROGBITS, flags: SHF_ALLOC };
    case PT_NOTE:
      return { name: ".note", type: SHT_NOTE, flags: SHF_ALLOC };
    case PT_GNU_EH_FRAME:
      return { name: ".eh_frame_hdr", type: SHT_PROGBITS, flags: SHF_ALLOC };
    case PT_LOAD:
      if ((flags & PF_X) !== 0) return { name: ".text", type: SHT_PROGBITS, flags: SHF_ALLOC | SHF_EXECINSTR };
      if ((flags & PF_W) !== 0) return { name: ".data", type: SHT_PROGBITS, flags: SHF_ALLOC | SHF_WRITE };
      return { name: ".rodata", type: SHT_PROGBITS, flags: SHF_ALLOC };
    default:
      return undefined;
  }
}

/** Symbols name their section by its number, which is another one now. */
function moveSymbols(memory: Buffer, sections: readonly ElfSection[], lowest: bigint): void {
  const table = sections.find(({ name }) => name === ".dynsym");
  if (table === undefined) return;
  const start = Number(table.address - lowest);
  for (let at = start; at < start + Number(table.size); at += SYMBOL_SIZE) {
    const section = memory.readUInt16LE(at + SYMBOL_SECTION);
    if (section === SHN_UNDEF || section >= SHN_LORESERVE) continue;
    const value = memory.readBigUInt64LE(at + SYMBOL_VALUE);
    const now = sections.findIndex(({ name, address, size }) => /^\.(text|rodata|data)/.test(name) && value >= address && value <= address + size); // prettier-ignore
    memory.writeUInt16LE(now < 0 ? SHN_ABS : now + 1, at + SYMBOL_SECTION);
  }
}

/** Puts the names and the table of sections behind the memory. */
function addSections(memory: Buffer, sections: readonly ElfSection[], lowest: bigint): Buffer {
  const names = Buffer.from(`\0${[...sections.map(({ name }) => name), ".shstrtab"].join("\0")}\0`);
  const tableAt = Math.ceil((memory.length + names.length) / 8) * 8;
  const table = Buffer.alloc((sections.length + 2) * SHDR_SIZE);
  const nameAt = (name: string) => names.indexOf(`\0${name}\0`) + 1;
  const indexOf = (name: string | undefined) => sections.findIndex((section) => section.name === name) + 1;
  const write = (
    index: number,
    words: readonly [number, number],
    longs: readonly (bigint | number)[],
    more: readonly [number, number, number],
  ) => {
    // prettier-ignore
    const at = index * SHDR_SIZE;
    words.forEach((word, place) => table.writeUInt32LE(word, at + place * 4));
    longs.forEach((long, place) => table.writeBigUInt64LE(BigInt(long), at + 8 + place * 8));
    const [link, info, entrySize] = more;
    table.writeUInt32LE(link, at + 40);
    table.writeUInt32LE(info, at + 44);
    table.writeBigUInt64LE(8n, at + 48);
    table.writeBigUInt64LE(BigInt(entrySize), at + 56);
  };
  sections.forEach(({ name, type, flags, address, size, link, info = 0, entrySize = 0 }, index) =>
    write(index + 1, [nameAt(name), type], [flags, address, address - lowest, size], [indexOf(link), info, entrySize]),
  );
  const last = sections.length + 1;
  write(last, [nameAt(".shstrtab"), SHT_STRTAB], [0, 0, memory.length, names.length], [0, 0, 0]);
  const file = Buffer.alloc(tableAt + table.length);
  file.set(memory);
  file.set(names, memory.length);
  file.set(table, tableAt);
  file.writeBigUInt64LE(BigInt(tableAt), 40);
  file.writeUInt16LE(EHDR_SIZE, 52);
  [SHDR_SIZE, last + 1, last].forEach((value, index) => file.writeUInt16LE(value, 58 + index * 2));
  return file;
}

function toView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
