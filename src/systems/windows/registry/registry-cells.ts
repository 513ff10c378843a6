import { KernelDataError } from "../../errors";

/*
 * The format of cells is the same in memory and in files, from NT 3.1 on (https://github.com/msuhanov/regf,
 * "Windows registry file format specification").
 */

/** "nk", "vk", "db", and the kinds of lists of subkeys. */
const KEY = 0x6b6e;
const VALUE = 0x6b76;
const BIG_DATA = 0x6264;
const [FAST_LEAF, HASH_LEAF, INDEX_LEAF, INDEX_ROOT] = [0x666c, 0x686c, 0x696c, 0x6972];
const KEY_HEAD = 0x4c;
const VALUE_HEAD = 0x14;
/** Flags of keys: a link to another key, and a name of one byte a letter. */
const KEY_IS_LINK = 0x10;
const KEY_IS_NARROW = 0x20;
const VALUE_IS_NARROW = 1;
/** Data of at most 4 bytes stands in the value itself. */
const IS_INLINE = 0x80000000;
/** Data that is longer lies in segments, since hives of version 1.4. */
const LARGEST_CELL_DATA = 16344;
/** More than any key of a sound registry has. */
const MOST_SUBKEYS = 100_000;
const MOST_VALUES = 100_000;
const NO_CELL = 0xffffffff;

/** Gives the content of cells: of a hive in memory. */
export interface CellSource {
  readonly rootCell: number;
  /** @throws KernelDataError */
  readCell(index: number, size: number): Buffer;
}

/** A key as its cell has it. */
export interface KeyCell {
  readonly name: string;
  readonly isLink: boolean;
  /** FILETIME. */
  readonly lastWrite: bigint;
  /** Of the stable and the volatile subkeys: how many, and the cell of their list. */
  readonly subkeys: readonly { readonly count: number; readonly list: number }[];
  readonly values: { readonly count: number; readonly list: number };
}

/** A value as its cell has it, without its data. */
export interface ValueCell {
  /** Empty for the key's default value. */
  readonly name: string;
  readonly type: number;
  /** Of the data, in bytes. */
  readonly size: number;
  readonly isInline: boolean;
  /** The cell of the data, or the data itself. */
  readonly data: number;
}

/** Reads the cell of a key. @throws KernelDataError */
export function readKeyCell(source: CellSource, index: number): KeyCell {
  const bytes = source.readCell(index, KEY_HEAD + 512);
  check(bytes, index, KEY_HEAD, KEY, "a key");
  const flags = bytes.readUInt16LE(2);
  const nameLength = bytes.readUInt16LE(0x48);
  return {
    name: readName(bytes.subarray(KEY_HEAD, KEY_HEAD + nameLength), (flags & KEY_IS_NARROW) !== 0),
    isLink: (flags & KEY_IS_LINK) !== 0,
    lastWrite: bytes.readBigUInt64LE(4),
    subkeys: [0, 1].map((kind) => ({
      count: bytes.readUInt32LE(0x14 + kind * 4),
      list: bytes.readUInt32LE(0x1c + kind * 4),
    })),
    values: { count: bytes.readUInt32LE(0x24), list: bytes.readUInt32LE(0x28) },
  };
}

/** Lists the cells of the subkeys of a key, the volatile ones last. @throws KernelDataError */
export function listSubkeyCells(source: CellSource, { subkeys }: KeyCell): number[] {
  const found: number[] = [];
  for (const { count, list } of subkeys) {
    if (count > 0 && list !== NO_CELL) addSubkeys(source, list, found, true);
  }
  return found;
}

/** A root of lists has no root below it. */
function addSubkeys(source: CellSource, list: number, found: number[], mayBeRoot: boolean): void {
  const head = source.readCell(list, 4);
  if (head.length < 4) throw new KernelDataError("a list of subkeys", BigInt(list), "its cell is too short");
  const [signature, count] = [head.readUInt16LE(0), head.readUInt16LE(2)];
  const size = signature === FAST_LEAF || signature === HASH_LEAF ? 8 : 4;
  const isLeaf = size === 8 || signature === INDEX_LEAF;
  if (!isLeaf && !(mayBeRoot && signature === INDEX_ROOT)) {
    throw new KernelDataError("a list of subkeys", BigInt(list), `its signature is 0x${signature.toString(16)}`);
  }
  const bytes = source.readCell(list, 4 + count * size);
  for (let at = 4; at + size <= bytes.length; at += size) {
    const cell = bytes.readUInt32LE(at);
    if (found.length >= MOST_SUBKEYS) {
      throw new KernelDataError("a list of subkeys", BigInt(list), `more than ${MOST_SUBKEYS}`);
    }
    if (isLeaf) found.push(cell);
    else addSubkeys(source, cell, found, false);
  }
}

/** Lists the values of a key. @throws KernelDataError */
export function listValueCells(source: CellSource, { values }: KeyCell): ValueCell[] {
  if (values.count === 0 || values.list === NO_CELL) return [];
  const count = Math.min(values.count, MOST_VALUES);
  const bytes = source.readCell(values.list, count * 4);
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) =>
    readValueCell(source, bytes.readUInt32LE(at * 4)),
  );
}

function readValueCell(source: CellSource, index: number): ValueCell {
  const bytes = source.readCell(index, VALUE_HEAD + 0x8000);
  check(bytes, index, VALUE_HEAD, VALUE, "a value");
  const size = bytes.readUInt32LE(4);
  const isNarrow = (bytes.readUInt16LE(0x10) & VALUE_IS_NARROW) !== 0;
  return {
    name: readName(bytes.subarray(VALUE_HEAD, VALUE_HEAD + bytes.readUInt16LE(2)), isNarrow),
    type: bytes.readUInt32LE(0xc),
    size: (size & ~IS_INLINE) >>> 0,
    isInline: (size & IS_INLINE) !== 0,
    data: bytes.readUInt32LE(8),
  };
}

/** Reads the data of a value. @param most in bytes; longer data is cut @throws KernelDataError */
export function readValueData(source: CellSource, { size, isInline, data }: ValueCell, most: number): Buffer {
  const wanted = Math.min(size, most);
  if (isInline) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(data);
    return bytes.subarray(0, Math.min(wanted, 4));
  }
  if (wanted === 0 || data === NO_CELL) return Buffer.alloc(0);
  if (size > LARGEST_CELL_DATA) {
    const head = source.readCell(data, 8);
    if (head.length === 8 && head.readUInt16LE(0) === BIG_DATA) {
      return readSegments(source, head.readUInt32LE(4), head.readUInt16LE(2), wanted);
    }
  }
  return source.readCell(data, wanted);
}

function readSegments(source: CellSource, list: number, count: number, wanted: number): Buffer {
  const cells = source.readCell(list, count * 4);
  const pieces: Buffer[] = [];
  let left = wanted;
  for (let at = 0; at + 4 <= cells.length && left > 0; at += 4) {
    const piece = source.readCell(cells.readUInt32LE(at), Math.min(left, LARGEST_CELL_DATA));
    pieces.push(piece);
    left -= piece.length;
    // A segment is full, but for the last one.
    if (piece.length === 0) break;
  }
  return Buffer.concat(pieces);
}

function check(bytes: Buffer, index: number, size: number, signature: number, what: string): void {
  const found = bytes.length >= 2 ? bytes.readUInt16LE(0) : 0;
  if (found === signature && bytes.length >= size) return;
  throw new KernelDataError(what, BigInt(index >>> 0), `its cell has the signature 0x${found.toString(16)}`);
}

function readName(bytes: Buffer, isNarrow: boolean): string {
  return isNarrow ? bytes.toString("latin1") : bytes.toString("utf16le", 0, bytes.length - (bytes.length % 2));
}
