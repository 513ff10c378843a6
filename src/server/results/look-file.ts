import { closeSync, openSync, readSync } from "node:fs";

/** The bytes that are shown at once, and those behind them in which strings are looked for. */
export const SHOWN_BYTES = 4_096;
const STRING_BYTES = 64 << 10;
/** In characters. */
const SHORTEST = 5;
const LONGEST = 1_000;
const MOST_STRINGS = 500;

/** A text in a file. */
export interface FoundString {
  /** In bytes from the beginning of the file. */
  readonly offset: number;
  /** Two bytes for each character, the lower first: what Windows writes. */
  readonly isWide: boolean;
  readonly text: string;
}

/** A part of a file. */
export interface FileLook {
  /** Where the bytes are, from the beginning of the file. */
  readonly offset: number;
  readonly bytes: Buffer;
  /** In their order; those of a stretch that begins with the bytes and is longer than they are. */
  readonly strings: readonly FoundString[];
  /** Where the stretch ends that strings were looked for in. */
  readonly stringsEnd: number;
}

/**
 * Reads a part of a file, and the texts in it and behind it.
 *
 * @param path a file of an analysis, whose content is hostile
 * @param offset in bytes; one behind the end has nothing
 */
export function lookIntoFile(path: string, offset: number): FileLook {
  const descriptor = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(STRING_BYTES);
    const length = readSync(descriptor, buffer, 0, STRING_BYTES, offset);
    const stretch = buffer.subarray(0, length);
    return { offset, bytes: stretch.subarray(0, SHOWN_BYTES), strings: findStrings(stretch, offset), stringsEnd: offset + length }; // prettier-ignore
  } finally {
    closeSync(descriptor);
  }
}

/** Finds texts of printable characters of ASCII, in one byte or two for each. */
export function findStrings(bytes: Buffer, offset: number): FoundString[] {
  // Each byte is a character of its own, so the expression's places are those of the bytes.
  const text = bytes.toString("latin1");
  const pattern = new RegExp(
    `(?:[\\x20-\\x7e]\\0){${SHORTEST},${LONGEST}}|[\\t\\x20-\\x7e]{${SHORTEST},${LONGEST}}`,
    "g",
  );
  const found: FoundString[] = [];
  for (let match = pattern.exec(text); match !== null && found.length < MOST_STRINGS; match = pattern.exec(text)) {
    const isWide = match[0][1] === "\0";
    found.push({ offset: offset + match.index, isWide, text: isWide ? match[0].replaceAll("\0", "") : match[0] });
  }
  return found;
}
