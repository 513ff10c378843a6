import type { RawSymbol } from "../sorted-symbols";
import type { ElfBytes } from "./elf-bytes";
import { PF_X, readElfWord } from "./elf-header";

/** Of Go 1.18 and 1.19, and from 1.20 on (internal/abi/symtab.go). */
const MAGICS: readonly number[] = [0xfffffff0, 0xfffffff1];
/** Of external linkers, position-independent programs have it in a section that the dynamic loader may write to. */
const TABLE = ".gopclntab";
const MODULE = ".go.module";
const NOTE = ".note.go.buildid";
const MARK_SIZE = 4096;
/** The words of a header behind its first 8 bytes (runtime/symtab.go: pcHeader). */
const COUNT = 0;
const TEXT_START = 2;
const NAMES = 3;
const FUNCTIONS = 7;
const HEADER_WORDS = 8;
/** The word in which moduledata has the start of the code: behind a pointer, six slices of three words, and three more (Go 1.26). */
const MODULE_TEXT = 22;
/** A record of the list of functions: where it begins in the code, and where its description lies (runtime/symtab.go: functab). */
const RECORD_SIZE = 8;
const MOST_FUNCTIONS = 0x100000;
const LONGEST_NAME = 4096;
/** As a function that others can call, with a size; see elf-symbols.ts. */
const RANK = 45;

/** The part of a section of the file that is needed here. */
export interface GoSection {
  readonly name: string;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
}

/**
 * Adds the functions of a Go program to symbols of its file: its runtime needs their names, so stripped programs have them too.
 *
 * @param found the symbols of the file's tables
 * @param sections of the file, with their names
 * @returns isWhole: false for a Go program of which not all was in memory, or whose list is damaged
 */
export function addGoFunctions(
  found: RawSymbol[],
  elf: ElfBytes,
  sections: readonly GoSection[],
): { readonly symbols: RawSymbol[]; readonly isWhole: boolean } {
  const { functions, isWhole } = readGoFunctions(elf, sections);
  if (functions.length === 0) return { symbols: found, isWhole };
  // The table of a program that was not stripped has most of them.
  const known = new Set(found.filter(({ letter }) => letter === "T").map(({ address }) => address));
  return { symbols: [...found, ...functions.filter(({ address }) => !known.has(address))], isWhole };
}

/** Reads what tells one build of a Go program from another: its list of functions begins with numbers of it, and a note has its hash. */
export function readGoMark(elf: ElfBytes, sections: readonly GoSection[]): string {
  const table = sections.find(({ name }) => name.endsWith(TABLE));
  if (table === undefined) return "";
  const note = sections.find(({ name }) => name === NOTE);
  const read = (section: GoSection | undefined): Uint8Array | undefined =>
    section && elf.findAt(section.offset, Math.min(section.size, MARK_SIZE));
  return [table, note].map((section) => Buffer.from(read(section) ?? []).toString("base64")).join(" ");
}

/**
 * Reads the functions of a program that Go 1.18 or later has made, by the file's own addresses (cmd/link/internal/ld/pcln.go).
 *
 * @param sections of the file, with their names
 * @returns none for other programs, older ones, and where the list is damaged or not in memory
 */
function readGoFunctions(elf: ElfBytes, sections: readonly GoSection[]): GoFunctions {
  const section = sections.find(({ name }) => name.endsWith(TABLE));
  if (section === undefined) return { functions: [], isWhole: true };
  const bytes = elf.findAt(section.offset, section.size);
  const { bits } = elf.header;
  const word = bits / 8;
  if (!bytes || bytes.length < 8 + HEADER_WORDS * word) return NOT_YET;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!MAGICS.includes(view.getUint32(0, true)) || view.getUint8(7) !== word) return NOT_YET;
  const read = (index: number): bigint => readElfWord(view, bits, 8 + index * word);
  const text = findText(elf, sections, section.address, read(TEXT_START));
  const [names, list] = [read(NAMES), read(FUNCTIONS)];
  const size = BigInt(bytes.length);
  if (text === undefined || names >= size || list >= size) return NOT_YET;
  const counted = read(COUNT);
  const room = (bytes.length - Number(list) - 4) / RECORD_SIZE;
  const count = Math.min(counted < BigInt(MOST_FUNCTIONS) ? Number(counted) : MOST_FUNCTIONS, Math.floor(room));
  const functions = listFunctions(view, bytes, { text, names: Number(names), list: Number(list), count });
  return { functions, isWhole: functions.length === count };
}

interface GoFunctions {
  readonly functions: RawSymbol[];
  readonly isWhole: boolean;
}

/** Its table is not in memory, or an older one. */
const NOT_YET: GoFunctions = { functions: [], isWhole: false };

interface Places {
  readonly text: bigint;
  readonly names: number;
  readonly list: number;
  readonly count: number;
}

function listFunctions(view: DataView, bytes: Uint8Array, { text, names, list, count }: Places): RawSymbol[] {
  const found: RawSymbol[] = [];
  const behind = count * RECORD_SIZE + 4;
  for (let index = 0; index < count; index++) {
    const at = list + index * RECORD_SIZE;
    const entry = view.getUint32(at, true);
    const next = view.getUint32(at + RECORD_SIZE, true);
    const described = view.getUint32(at + 4, true);
    const place = list + described;
    // Of a part that is not in memory all is zero.
    if (described < behind || place + 8 > bytes.length || next < entry) continue;
    if (view.getUint32(place, true) !== entry) continue;
    const nameStart = names + view.getUint32(place + 4, true);
    if (nameStart >= bytes.length) continue;
    const name = bytes.subarray(nameStart, nameStart + LONGEST_NAME);
    const length = name.indexOf(0);
    if (length <= 0) continue;
    const place64 = { address: text + BigInt(entry), size: BigInt(next - entry) };
    found.push({ ...place64, letter: "T", rank: RANK, names: bytes, nameStart, nameEnd: nameStart + length });
  }
  return found;
}

/**
 * Finds the address that the places of functions count from. The header has it until Go 1.25, and in memory alone where the dynamic
 * loader fills it in; from 1.26 on only the runtime's own description of the program has it.
 */
function findText(elf: ElfBytes, sections: readonly GoSection[], table: bigint, inHeader: bigint): bigint | undefined {
  const { bits } = elf.header;
  const word = bits / 8;
  const readMapped = (address: bigint): bigint => {
    const bytes = elf.findMapped(address, word);
    return bytes === undefined ? 0n : readElfWord(new DataView(bytes.buffer, bytes.byteOffset, word), bits, 0);
  };
  const readBoth = (address: bigint): bigint => {
    const bytes = elf.findWhole(address, word);
    const value = bytes === undefined ? 0n : readElfWord(new DataView(bytes.buffer, bytes.byteOffset, word), bits, 0);
    return value === 0n ? readMapped(address) : value;
  };
  let value = inHeader === 0n ? readMapped(table + BigInt(8 + TEXT_START * word)) : inHeader;
  const description = sections.find(({ name }) => name.endsWith(MODULE))?.address;
  if (value === 0n && description !== undefined && elf.toOwnAddress(readBoth(description)) === table) {
    value = readBoth(description + BigInt(MODULE_TEXT * word));
  }
  const own = elf.toOwnAddress(value);
  return value !== 0n && ((elf.segmentOf(own)?.flags ?? 0) & PF_X) !== 0 ? own : undefined;
}
