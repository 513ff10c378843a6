import type { ElfBytes } from "./elf-bytes";
import { PF_W, PF_X } from "./elf-header";
import type { RawSymbol } from "../sorted-symbols";

const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;
const STB_LOCAL = 0;
const STB_WEAK = 2;
const STT_OBJECT = 1;
const STT_FUNC = 2;
const STT_SECTION = 3;
const STT_FILE = 4;
const STT_TLS = 6;
const STT_GNU_IFUNC = 10;
const LONGEST_NAME = 4096;
const UNDERSCORE = 0x5f;

/** A table of an ELF file: its records and the names that they refer to. */
export interface ElfSymbolBytes {
  readonly symbols: Uint8Array;
  readonly strings: Uint8Array;
}

interface Record {
  readonly name: number;
  readonly address: bigint;
  readonly size: bigint;
  readonly info: number;
  readonly section: number;
}

/**
 * Reads the symbols of an ELF file that have an address, by the file's own addresses.
 *
 * Of symbols with one address the first is the most informative one: functions before data before what has no type, names for
 * everyone before those with an underscore (printf before _IO_printf), global before weak before local ones.
 *
 * @param tables the dynamic symbols, the full table, or both
 */
export function readElfSymbols(elf: ElfBytes, tables: readonly ElfSymbolBytes[]): RawSymbol[] {
  return tables.flatMap((table) => readTable(elf, table));
}

function readTable(elf: ElfBytes, { symbols, strings }: ElfSymbolBytes): RawSymbol[] {
  const is64 = elf.header.bits === 64;
  const recordSize = is64 ? 24 : 16;
  const view = new DataView(symbols.buffer, symbols.byteOffset, symbols.length);
  const found: RawSymbol[] = [];
  for (let at = 0; at + recordSize <= symbols.length; at += recordSize) {
    const record = is64 ? read64(view, at) : read32(view, at);
    const type = record.info & 0xf;
    const hasAddress = type !== STT_SECTION && type !== STT_FILE && type !== STT_TLS;
    if (!hasAddress || record.section === SHN_UNDEF || record.section === SHN_ABS) continue;
    if (record.name === 0 || record.name >= strings.length) continue;
    const nameEnd = findNameEnd(strings, record.name);
    if (nameEnd === record.name) continue;
    const { address, size } = record;
    const letter = letterOf(elf, record);
    found.push({
      address,
      size,
      letter,
      rank: rankOf(record, strings[record.name] === UNDERSCORE),
      names: strings,
      nameStart: record.name,
      nameEnd,
    });
  }
  return found;
}

/** A name ends at its NUL, or at the version that GNU's linker writes behind it: printf@@GLIBC_2.2.5. */
function findNameEnd(strings: Uint8Array, start: number): number {
  const name = strings.subarray(start, start + LONGEST_NAME);
  const length = name.indexOf(0);
  const whole = length < 0 ? name : name.subarray(0, length);
  const version = whole.indexOf(0x40, 1);
  return start + (version < 0 ? whole.length : version);
}

function read64(view: DataView, at: number): Record {
  return {
    name: view.getUint32(at, true),
    info: view.getUint8(at + 4),
    section: view.getUint16(at + 6, true),
    address: view.getBigUint64(at + 8, true),
    size: view.getBigUint64(at + 16, true),
  };
}

function read32(view: DataView, at: number): Record {
  return {
    name: view.getUint32(at, true),
    address: BigInt(view.getUint32(at + 4, true)),
    size: BigInt(view.getUint32(at + 8, true)),
    info: view.getUint8(at + 12),
    section: view.getUint16(at + 14, true),
  };
}

/** Gives nm's letter, by the segment: section headers are not in memory. */
function letterOf(elf: ElfBytes, { address, info }: Record): string {
  const type = info & 0xf;
  const binding = info >> 4;
  if (type === STT_GNU_IFUNC) return "i";
  if (binding === STB_WEAK) return type === STT_OBJECT ? "V" : "W";
  const segment = elf.segmentOf(address);
  let letter = "R";
  if (!segment) letter = "A";
  else if ((segment.flags & PF_X) !== 0) letter = "T";
  else if ((segment.flags & PF_W) !== 0) letter = address - segment.address < segment.fileSize ? "D" : "B";
  return binding === STB_LOCAL ? letter.toLowerCase() : letter;
}

function rankOf({ info, size }: Record, isReserved: boolean): number {
  const type = info & 0xf;
  const binding = info >> 4;
  const kind = type === STT_FUNC || type === STT_GNU_IFUNC ? 2 : type === STT_OBJECT ? 1 : 0;
  const reach = binding === STB_LOCAL ? 0 : binding === STB_WEAK ? 1 : 2;
  return kind * 16 + (isReserved ? 0 : 8) + reach * 2 + (size > 0n ? 1 : 0);
}
