import type { SearchPattern, SearchWindow } from "./search-pattern";

/** In bytes; anything longer is a file rather than a pattern. */
const LONGEST = 16 * 1024;

/** Bytes that are looked for as they are. */
export class BytePattern implements SearchPattern {
  readonly isSlow = false;

  /**
   * @param bytes 1 to 16384 of them
   * @param source as whoever asked has written them
   * @throws RangeError when there are none or too many
   */
  constructor(
    readonly bytes: Buffer,
    readonly source: string,
  ) {
    if (bytes.length === 0 || bytes.length > LONGEST) {
      throw new RangeError(`${bytes.length} bytes are looked for: 1 to ${LONGEST} can be`);
    }
  }

  /**
   * Reads bytes as two hexadecimal digits each.
   *
   * @throws RangeError when it is none, or empty
   */
  static parse(text: string): BytePattern {
    if (!/^(?:[0-9a-f]{2})+$/i.test(text)) {
      throw new RangeError(`'${text}' are no bytes: write two hexadecimal digits for each, without 0x, as "ff00d1ab"`);
    }
    return new BytePattern(Buffer.from(text, "hex"), text);
  }

  get reach(): number {
    return this.bytes.length;
  }

  find(window: SearchWindow): number {
    return window.indexOf(this.bytes);
  }
}
