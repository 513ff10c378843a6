const FACTOR = 31;
/** KSYM_NAME_LEN of the kernel with the longest names (6.1 and newer), with some room. */
export const LONGEST_NAME = 1024;
/** More names than this with one hash are no longer found by name: a hostile table must not take quadratic time. */
const MOST_PROBES = 4096;

/** The parts of kallsyms that names are made of: 256 tokens, and for each name its length and the numbers of its tokens. */
export interface CompressedParts {
  readonly names: Uint8Array;
  readonly tokens: readonly Uint8Array[];
  readonly count: number;
}

/**
 * The names of kallsyms, found by hash while they stay compressed: to decompress 200,000 of them takes many times longer than to look
 * up some hundred. The hash of a name is made of those of its tokens. The first character is no part of the name but its type, as nm
 * prints it.
 */
export class CompressedNames {
  readonly #bytes: Uint8Array;
  readonly #tokens: readonly Uint8Array[];
  /** The place of each record. */
  readonly #starts: Uint32Array;
  /** Number of the name plus one, at the place of its hash or the next free one. */
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #record = Buffer.alloc(LONGEST_NAME);

  constructor({ names, tokens, count }: CompressedParts) {
    this.#bytes = names;
    this.#tokens = tokens;
    this.#starts = new Uint32Array(count);
    const size = 2 ** Math.ceil(Math.log2(Math.max(8, count * 2)));
    this.#slots = new Int32Array(size);
    this.#mask = size - 1;
    this.#index(count);
  }

  /** Finds the first of the names that are equal to this one. */
  find(text: string): number | undefined {
    for (const name of this.#candidates(text)) if (this.name(name) === text) return name;
    return undefined;
  }

  /** Finds every name that is equal to this one, in their order. */
  findAll(text: string): number[] {
    return [...this.#candidates(text)].filter((name) => this.name(name) === text);
  }

  /** Gets a name by its number. */
  name(number: number): string {
    return this.#record.toString("latin1", 1, this.decompress(number, this.#record));
  }

  /** Gets the character that stands before a name; that of code 0 for a record without one. */
  type(number: number): string {
    return this.decompress(number, this.#record) > 0 ? String.fromCharCode(this.#record[0]!) : "\0";
  }

  /**
   * Decompresses a record, its type first. Tokens that would make it too long are left out.
   *
   * @returns its length
   */
  decompress(number: number, into: Uint8Array): number {
    const bytes = this.#bytes;
    let at = this.#starts[number]!;
    let length = bytes[at++] ?? 0;
    if ((length & 0x80) !== 0) length = (length & 0x7f) | ((bytes[at++] ?? 0) << 7);
    let size = 0;
    for (const end = Math.min(at + length, bytes.length); at < end; at++) {
      const token = this.#tokens[bytes[at]!]!;
      if (size + token.length > LONGEST_NAME) continue;
      for (let i = 0; i < token.length; i++) into[size++] = token[i]!;
    }
    return size;
  }

  *#candidates(text: string): Iterable<number> {
    let hash = 0;
    for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, FACTOR) + text.charCodeAt(at)) | 0;
    let slot = mix(hash) & this.#mask;
    for (let probe = 0; probe < MOST_PROBES; probe++, slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]!;
      if (entry === 0) return;
      yield entry - 1;
    }
  }

  #index(count: number): void {
    const bytes = this.#bytes;
    const end = bytes.length;
    // A token moves the hash of what is before it on by a factor of its own, and adds its own hash.
    const factors = Int32Array.from(this.#tokens, (token) => token.reduce((all) => Math.imul(all, FACTOR), 1));
    const hashes = Int32Array.from(this.#tokens, (token) => hashOf(token, 0));
    const tails = Int32Array.from(this.#tokens, (token) => hashOf(token, 1));
    const sizes = Uint32Array.from(this.#tokens, (token) => token.length);
    const [slots, mask, starts] = [this.#slots, this.#mask, this.#starts];
    for (let name = 0, at = 0; name < count; name++) {
      starts[name] = at;
      let length = bytes[at++] ?? 0;
      if ((length & 0x80) !== 0) length = (length & 0x7f) | ((bytes[at++] ?? 0) << 7);
      const last = Math.min(at + length, end);
      let hash = 0;
      let size = 0;
      for (; at < last; at++) {
        const token = bytes[at]!;
        if (size === 0) hash = tails[token]!;
        else hash = (Math.imul(hash, factors[token]!) + hashes[token]!) | 0;
        size += sizes[token]!;
      }
      // Such a name is not whole when it is decompressed.
      if (size > LONGEST_NAME) continue;
      let slot = mix(hash) & mask;
      for (let probe = 0; probe < MOST_PROBES; probe++, slot = (slot + 1) & mask) {
        if (slots[slot] === 0) {
          slots[slot] = name + 1;
          break;
        }
      }
    }
  }
}

function hashOf(bytes: Uint8Array, from: number): number {
  let hash = 0;
  for (let at = from; at < bytes.length; at++) hash = (Math.imul(hash, FACTOR) + bytes[at]!) | 0;
  return hash;
}

/** The multiplication leaves the low bits, which choose the slot, less mixed than the high ones. */
function mix(hash: number): number {
  return hash ^ (hash >>> 15);
}
