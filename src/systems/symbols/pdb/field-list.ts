import { PdbError } from "../../errors";
import { Leaf, type TypeTable } from "./type-table";

/** Kinds of entries in a list of members, microsoft-pdb's cvinfo.h. */
const BASE_CLASS = 0x1400;
const VIRTUAL_BASE = 0x1401;
const INDIRECT_VIRTUAL_BASE = 0x1402;
const CONTINUATION = 0x1404;
const VIRTUAL_TABLE = 0x1409;
const VALUE = 0x1502;
const MEMBER = 0x150d;
const STATIC_MEMBER = 0x150e;
const METHODS = 0x150f;
const NESTED = 0x1510;
const METHOD = 0x1511;
const NESTED_TOO = 0x1512;
const BASE_INTERFACE = 0x151a;
/** The byte that fills a record up to a multiple of 4 bytes: its lower half says how many bytes it fills. */
const PADDING = 0xf0;
/** The property of a method that introduces a place in the table of virtual functions (CV_methodprop_e). */
const INTRODUCING = [4, 6];
/** Of one struct, its continuations included. */
const MOST_ENTRIES = 65536;
const MOST_LISTS = 4096;

/** An entry of a list of members: a member of a struct or union, or a value of an enumeration. */
export interface FieldEntry {
  readonly kind: "member" | "base" | "value";
  readonly name: string;
  /** The number of a member's type; 0 for a value. */
  readonly type: number;
  /** A member's offset in bytes, or the value. */
  readonly number: bigint;
}

/**
 * Lists the entries of a list of members that are data: methods, static members and nested names are left out.
 *
 * @param first the number of the list
 * @throws PdbError when it is damaged
 */
export function listFields(table: TypeTable, first: number): FieldEntry[] {
  const entries: FieldEntry[] = [];
  let list: number | undefined = first;
  for (let lists = 0; list !== undefined; lists++) {
    if (lists >= MOST_LISTS) throw new PdbError(`the members of type 0x${first.toString(16)} never end`);
    list = readList(table, list, entries);
  }
  return entries;
}

/** Adds the entries of one list, and returns the number of the list that continues it. */
function readList(table: TypeTable, index: number, entries: FieldEntry[]): number | undefined {
  if (table.kind(index) !== Leaf.FieldList) {
    throw new PdbError(`type 0x${index.toString(16)} is no list of members`);
  }
  const { bytes } = table;
  const end = table.recordEnd(index);
  for (let at = table.start(index); at + 2 <= end;) {
    const filler = bytes.u8(at);
    if (filler >= PADDING) {
      at += Math.max(1, filler & 0xf);
      continue;
    }
    const kind = bytes.u16(at);
    if (kind === CONTINUATION) return bytes.u32(at + 4);
    if (entries.length >= MOST_ENTRIES) throw new PdbError(`type 0x${index.toString(16)} has too many members`);
    at = readEntry(table, at, end, kind, entries);
  }
  return undefined;
}

/** Adds an entry when it is data, and returns the place behind it. */
function readEntry({ bytes }: TypeTable, at: number, end: number, kind: number, entries: FieldEntry[]): number {
  const afterText = (place: number): number => bytes.textEnd(place, end) + 1;
  switch (kind) {
    case MEMBER: {
      const { value, end: name } = bytes.leafNumber(at + 8);
      entries.push({ kind: "member", name: bytes.text(name, end), type: bytes.u32(at + 4), number: value });
      return afterText(name);
    }
    case VALUE: {
      const { value, end: name } = bytes.leafNumber(at + 4);
      entries.push({ kind: "value", name: bytes.text(name, end), type: 0, number: value });
      return afterText(name);
    }
    case BASE_CLASS:
    case BASE_INTERFACE: {
      const { value, end: next } = bytes.leafNumber(at + 8);
      entries.push({ kind: "base", name: "", type: bytes.u32(at + 4), number: value });
      return next;
    }
    case VIRTUAL_BASE:
    case INDIRECT_VIRTUAL_BASE:
      return bytes.leafNumber(bytes.leafNumber(at + 12).end).end;
    case VIRTUAL_TABLE:
      return at + 8;
    case STATIC_MEMBER:
    case METHODS:
    case NESTED:
    case NESTED_TOO:
      return afterText(at + 8);
    case METHOD: {
      const isIntroducing = INTRODUCING.includes((bytes.u16(at + 2) >> 2) & 7);
      return afterText(at + (isIntroducing ? 12 : 8));
    }
    default:
      throw new PdbError(`${bytes.what} has a member of the unknown kind 0x${kind.toString(16)}`);
  }
}
