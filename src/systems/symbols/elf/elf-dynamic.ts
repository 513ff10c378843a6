import type { ElfBytes } from "./elf-bytes";
import { PT_DYNAMIC } from "./elf-header";
import type { RelocationTable } from "./elf-relocations";

const DT_NEEDED = 1n;
const DT_PLTRELSZ = 2n;
const DT_HASH = 4n;
const DT_STRTAB = 5n;
const DT_SYMTAB = 6n;
const DT_RELA = 7n;
const DT_RELASZ = 8n;
const DT_STRSZ = 10n;
const DT_SONAME = 14n;
const DT_REL = 17n;
const DT_RELSZ = 18n;
const DT_JMPREL = 23n;
const DT_GNU_HASH = 0x6ffffef5n;
/** The largest programs have some hundred. */
const MOST_ENTRIES = 4096;
/** More symbols than this are left out: large browsers have half a million. */
const MOST_SYMBOLS = 0x100000;
const LARGEST_STRINGS = 0x4000000;
const LONGEST_NAME = 4096;

/** The dynamic section of an ELF file: what the loader needs to know, so it is always in memory. */
export interface ElfDynamic {
  readonly soname: string | undefined;
  readonly needed: readonly string[];
  readonly symbols: Uint8Array | undefined;
  readonly strings: Uint8Array | undefined;
  readonly relocations: readonly RelocationTable[];
}

/** Reads the dynamic section; undefined when the file has none, as a static program. */
export function readElfDynamic(elf: ElfBytes): ElfDynamic | undefined {
  const segment = elf.segments.find(({ type }) => type === PT_DYNAMIC);
  if (!segment) return undefined;
  const { bits } = elf.header;
  const entrySize = bits / 4;
  const count = Math.min(Number(segment.memorySize) / entrySize, MOST_ENTRIES) | 0;
  const bytes = elf.findAddress(segment.address, count * entrySize);
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Map<bigint, bigint>();
  const neededOffsets: bigint[] = [];
  for (let at = 0; at + entrySize <= bytes.length; at += entrySize) {
    const [tag, value] =
      bits === 64
        ? [view.getBigUint64(at, true), view.getBigUint64(at + 8, true)]
        : [BigInt(view.getUint32(at, true)), BigInt(view.getUint32(at + 4, true))];
    if (tag === 0n) break;
    if (tag === DT_NEEDED) neededOffsets.push(value);
    else values.set(tag, value);
  }
  const own = (tag: bigint): bigint | undefined => {
    const value = values.get(tag);
    return value === undefined ? undefined : elf.toOwnAddress(value);
  };
  const stringsAt = own(DT_STRTAB);
  const symbolsAt = own(DT_SYMTAB);
  const stringsSize = Number(values.get(DT_STRSZ) ?? 0n);
  const strings =
    stringsAt === undefined ? undefined : elf.findAddress(stringsAt, Math.min(stringsSize, LARGEST_STRINGS));
  const symbolCount = Math.min(
    countByGnuHash(elf, own(DT_GNU_HASH)) ??
      countByHash(elf, own(DT_HASH)) ??
      countByPlace(symbolsAt, stringsAt, bits) ??
      0,
    MOST_SYMBOLS,
  );
  const soname = values.get(DT_SONAME);
  // Those of the linkage table have addends on AMD64, and none on i386.
  const tables = [
    [DT_JMPREL, DT_PLTRELSZ, bits === 64],
    [DT_RELA, DT_RELASZ, true],
    [DT_REL, DT_RELSZ, false],
  ] as const;
  return {
    soname: soname === undefined || !strings ? undefined : elfText(strings, Number(soname)),
    needed: strings ? neededOffsets.map((offset) => elfText(strings, Number(offset))) : [],
    symbols: symbolsAt === undefined ? undefined : elf.findAddress(symbolsAt, symbolCount * (bits === 64 ? 24 : 16)),
    strings,
    relocations: tables.flatMap(([place, length, hasAddend]) => {
      const [address, size] = [own(place), Number(values.get(length) ?? 0n)];
      return address === undefined || size === 0 ? [] : [{ address, size, hasAddend }];
    }),
  };
}

/** Gets a name out of a string table; empty when its offset is not in it. */
export function elfText(strings: Uint8Array, offset: number): string {
  if (!(offset >= 0 && offset < strings.length)) return "";
  const limit = Math.min(strings.length, offset + LONGEST_NAME);
  let end = offset;
  while (end < limit && strings[end] !== 0) end++;
  return Buffer.from(strings.buffer, strings.byteOffset + offset, end - offset).toString("latin1");
}

/** DT_HASH says it: it has a chain link for each symbol (System V ABI, "Hash Table"). */
function countByHash(elf: ElfBytes, address: bigint | undefined): number | undefined {
  const bytes = address === undefined ? undefined : elf.findAddress(address, 8);
  return bytes && new DataView(bytes.buffer, bytes.byteOffset, 8).getUint32(4, true);
}

/**
 * DT_GNU_HASH does not say it: the last symbol is the end of the chain that begins last. Symbols before `first`, which are
 * undefined ones, are in no chain.
 */
function countByGnuHash(elf: ElfBytes, address: bigint | undefined): number | undefined {
  const head = address === undefined ? undefined : elf.findAddress(address, 16);
  if (address === undefined || !head) return undefined;
  const word = (bytes: Uint8Array, index: number): number =>
    new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(index * 4, true);
  const buckets = word(head, 0);
  const first = word(head, 1);
  const filterSize = word(head, 2) * (elf.header.bits / 8);
  if (buckets > MOST_SYMBOLS || filterSize > LARGEST_STRINGS || first > MOST_SYMBOLS) return undefined;
  const bucketsAt = address + 16n + BigInt(filterSize);
  const table = elf.findAddress(bucketsAt, buckets * 4);
  if (!table) return undefined;
  let last = 0;
  for (let bucket = 0; bucket < buckets; bucket++) last = Math.max(last, word(table, bucket));
  if (last < first) return first;
  const chainsAt = bucketsAt + BigInt(buckets) * 4n;
  for (let symbol = last; symbol < last + MOST_SYMBOLS;) {
    // A page at a time: a chain is short, but one link at a time would be slow in a damaged table.
    const links = elf.findAddress(chainsAt + BigInt(symbol - first) * 4n, 256);
    if (!links) return undefined;
    for (let index = 0; index < 64; index++) {
      if ((word(links, index) & 1) === 1) return symbol + index + 1;
    }
    symbol += 64;
  }
  return undefined;
}

/** Without a hash table: linkers place the names right behind the symbols. */
function countByPlace(symbols: bigint | undefined, strings: bigint | undefined, bits: number): number | undefined {
  if (symbols === undefined || strings === undefined || strings <= symbols) return undefined;
  return Number((strings - symbols) / (bits === 64 ? 24n : 16n));
}
