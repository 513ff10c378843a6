import { KallsymsAddresses } from "./kallsyms-addresses";
import type { KallsymsAddressing, KallsymsLocation } from "./kallsyms-location";

const TOKENS = 256;
/** The number of names between two markers. */
const MARKER_STEP = 256;
const LONGEST_TOKEN = 128;
/** The longest name, compressed, in bytes: no kernel allows names above 512 bytes. */
const LONGEST_RECORD = 514;
const MOST_SYMBOLS = 4_000_000;
/** A kernel has one table of tokens. More than a few are made to take time. */
const MOST_TABLES = 16;
/** So many places that might be the markers are tried for a table of tokens. */
const MOST_PLACES = 1000;

/** The image's bytes as what the search reads. */
interface Image {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: bigint;
  readonly pointerSize: 4 | 8;
}

/**
 * Finds kallsyms in a kernel image by the invariants of its parts alone, whatever their order.
 *
 * The order and the encoding have changed several times since 5.4: see KallsymsLocation and scripts/kallsyms.c. What has
 * not changed is that 256 tokens are followed by an index of their offsets, that markers give the offset of every 256th
 * name, and that the number of symbols precedes the names.
 *
 * @param bytes the kernel image
 * @param start its virtual address
 * @param pointerSize in bytes
 * @param known the address of a symbol that the kernel must have, to tell the right encoding from accidents
 * @returns the location, or in words which part was not found
 */
export function locateKallsyms(
  bytes: Uint8Array,
  start: bigint,
  pointerSize: 4 | 8,
  known: readonly bigint[],
): KallsymsLocation | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const image: Image = { bytes, view, start, pointerSize };
  let problem = "there is no table of 256 tokens with their index";
  for (const { tokenTable, tokenIndex } of findTokens(image)) {
    const names = findNames(image, tokenTable);
    if (!names) {
      problem = `there are tokens at image offset 0x${tokenTable.toString(16)}, but no names and markers before them`;
      continue;
    }
    const found = findAddresses(image, { ...names, tokenTable, tokenIndex }, known);
    if (found) return found;
    problem =
      `there are ${names.symbolCount} names at image offset 0x${names.names.toString(16)}, but no table of their ` +
      `addresses that has ${known.map((address) => `0x${address.toString(16)}`).join(" or ")}`;
  }
  return problem;
}

/** Finds each table of tokens: the index is a rising sequence that fits the strings before it. */
function* findTokens(image: Image): Generator<{ tokenTable: number; tokenIndex: number }> {
  const { bytes, view } = image;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  const last = words.length - (TOKENS * 2) / 4;
  let tables = 0;
  for (let word = 256; word < last && tables < MOST_TABLES; word++) {
    const first = words[word] as number;
    // The first token begins at 0, the second at most one longest token later.
    if ((first & 0xffff) !== 0 || first >>> 16 === 0 || first >>> 16 > LONGEST_TOKEN) continue;
    const tokenIndex = word * 4;
    if (!isTokenIndex(view, tokenIndex)) continue;
    const tokenTable = findTokenTable(image, tokenIndex);
    if (tokenTable === undefined) continue;
    tables++;
    yield { tokenTable, tokenIndex };
  }
}

function isTokenIndex(view: DataView, at: number): boolean {
  for (let token = 1, before = 0; token < TOKENS; token++) {
    const offset = view.getUint16(at + token * 2, true);
    if (offset <= before || offset - before > LONGEST_TOKEN) return false;
    before = offset;
  }
  return true;
}

function findTokenTable({ bytes, view }: Image, tokenIndex: number): number | undefined {
  const lastToken = view.getUint16(tokenIndex + (TOKENS - 1) * 2, true);
  for (let length = 1; length <= LONGEST_TOKEN + 8; length++) {
    const table = tokenIndex - lastToken - length;
    if (table < 0 || table % 4 !== 0) continue;
    let fits = true;
    for (let token = 1; token < TOKENS && fits; token++) {
      const offset = view.getUint16(tokenIndex + token * 2, true);
      // One NUL before each token, and none within.
      fits = bytes[table + offset - 1] === 0 && bytes[table + offset] !== 0;
    }
    if (fits && bytes[table] !== 0 && countZeros(bytes, table, table + lastToken) === TOKENS - 1) return table;
  }
  return undefined;
}

function countZeros(bytes: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at++) if (bytes[at] === 0) count++;
  return count;
}

type NamesLocation = Pick<KallsymsLocation, "symbolCount" | "names" | "markers">;

/** Finds the markers, which lie before the tokens (with a table of name order between them in some versions). */
function findNames(image: Image, tokenTable: number): NamesLocation | undefined {
  const { view } = image;
  // Backwards, so that the first that fits is the nearest. A table of name order takes three bytes for each symbol.
  const lowest = Math.max(0, tokenTable - MOST_SYMBOLS * 3);
  let places = 0;
  for (let at = tokenTable - 4; at >= lowest && places < MOST_PLACES; at -= 4) {
    if (view.getUint32(at, true) !== 0) continue;
    const count = countMarkers(view, at, tokenTable);
    if (count < 2) continue;
    places++;
    const found = findNamesBefore(image, at, count);
    if (found) return found;
  }
  return undefined;
}

function countMarkers(view: DataView, at: number, end: number): number {
  let count = 1;
  for (let before = 0; at + count * 4 < end; count++) {
    const marker = view.getUint32(at + count * 4, true);
    if (marker - before < MARKER_STEP * 2 || marker - before > MARKER_STEP * LONGEST_RECORD) break;
    before = marker;
  }
  return count;
}

/**
 * Finds the names of which the markers tell: a chain of records that passes through every marker, after their number.
 *
 * @param most how many markers there are at most: what follows them may look like one more
 */
function findNamesBefore({ bytes, view }: Image, markers: number, most: number): NamesLocation | undefined {
  const second = view.getUint32(markers + 4, true);
  for (let count = most; count >= Math.max(2, most - 1); count--) {
    const lastMarker = view.getUint32(markers + (count - 1) * 4, true);
    const lowest = Math.max(8, markers - lastMarker - MARKER_STEP * LONGEST_RECORD);
    for (let names = (markers - lastMarker) & ~3; names >= lowest; names -= 4) {
      const symbolCount = findSymbolCount(view, names, count);
      if (symbolCount === undefined || skipNames(bytes, names, MARKER_STEP, markers) !== names + second) continue;
      if (isChain({ bytes, view }, { symbolCount, names, markers })) return { symbolCount, names, markers };
    }
  }
  return undefined;
}

/** The count is a 32-bit number; its place is filled up to 8 bytes where parts are aligned to 8. */
function findSymbolCount(view: DataView, names: number, markerCount: number): number | undefined {
  for (const at of [names - 4, names - 8]) {
    const count = view.getUint32(at, true);
    if (Math.ceil(count / MARKER_STEP) === markerCount && (at === names - 4 || view.getUint32(names - 4, true) === 0)) {
      return count;
    }
  }
  return undefined;
}

function isChain(
  { bytes, view }: Pick<Image, "bytes" | "view">,
  { symbolCount, names, markers }: NamesLocation,
): boolean {
  let at = names;
  for (let symbol = 0; symbol < symbolCount; symbol += MARKER_STEP) {
    if (at !== names + view.getUint32(markers + (symbol / MARKER_STEP) * 4, true)) return false;
    at = skipNames(bytes, at, Math.min(MARKER_STEP, symbolCount - symbol), markers);
    if (at < 0) return false;
  }
  return true;
}

/** Skips records: a length of one byte, or of two when its highest bit is set (6.1 and newer), then the tokens. */
function skipNames(bytes: Uint8Array, from: number, count: number, end: number): number {
  let at = from;
  for (let name = 0; name < count; name++) {
    const length = bytes[at] as number;
    at += (length & 0x80) === 0 ? 1 + length : 2 + (length & 0x7f) + ((bytes[at + 1] as number) << 7);
    if (length === 0 || at > end) return -1;
  }
  return at;
}

/** Finds the addresses: after the index of the tokens, or before the number of symbols. */
function findAddresses(
  image: Image,
  parts: Omit<KallsymsLocation, "addresses" | "addressing" | "base">,
  known: readonly bigint[],
): KallsymsLocation | undefined {
  const { bytes, start, pointerSize } = image;
  const size32 = parts.symbolCount * 4;
  const size64 = parts.symbolCount * 8;
  const after = parts.tokenIndex + TOKENS * 2;
  const count = parts.names - 4 - (parts.names % 8 === 4 ? 0 : 4);
  const up = (offset: number): number => Math.ceil(offset / pointerSize) * pointerSize;
  const candidates: [KallsymsAddressing, number, number][] = [];
  for (const addressing of ["percpu", "base"] as const) {
    candidates.push([addressing, after, up(after + size32)]);
    for (const place of new Set([count, parts.names - 8, parts.names - 4])) {
      candidates.push([addressing, up(place - pointerSize - size32 - pointerSize + 1), place - pointerSize]);
      candidates.push([addressing, place - pointerSize - size32, place - pointerSize]);
    }
  }
  candidates.push(["entry", after, 0], ["absolute32", after, 0], ["absolute64", after, 0]);
  for (const place of [parts.names - 8, parts.names - 4]) {
    candidates.push(["absolute32", place - size32, 0], ["absolute64", place - size64, 0], ["entry", place - size32, 0]);
  }
  for (const [addressing, addresses, base] of candidates) {
    const location = { ...parts, addressing, addresses, base };
    const table = KallsymsAddresses.decode(bytes, start, pointerSize, location);
    if (table?.isPlausible(known)) return location;
  }
  return undefined;
}
