/** A piece of memory that is searched, as bytes and, where somebody asks for it, as text. */
export class SearchWindow {
  #text: string | undefined;

  constructor(
    readonly bytes: Buffer,
    private readonly findBytes: ByteFinder = indexOf,
  ) {}

  /** Finds the first place of bytes; -1 when there is none. */
  indexOf(bytes: Uint8Array): number {
    return this.findBytes(this.bytes, bytes, 0);
  }

  /** One character for each byte (Latin-1), so that a place in the text is a place in memory. */
  get text(): string {
    return (this.#text ??= this.bytes.toString("latin1"));
  }
}

/** A pattern that memory is searched for. */
export interface SearchPattern {
  /** As whoever asked has written it. */
  readonly source: string;
  /** The longest possible hit, in bytes: that much of a window is searched again with the next one. */
  readonly reach: number;
  /** Whether how long a search takes depends on the pattern: it may be much longer than reading the memory. */
  readonly isSlow: boolean;
  /** Finds the first place in the window; -1 when there is none. */
  find(window: SearchWindow): number;
}

/** Finds a place in bytes from an index on; -1 when there is none. */
export type ByteFinder = (bytes: Uint8Array, pattern: Uint8Array, from: number) => number;

function indexOf(bytes: Uint8Array, pattern: Uint8Array, from: number): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(pattern, from);
}
