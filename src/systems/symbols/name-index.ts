const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** More names than this with one hash are no longer found by name: a hostile table must not take quadratic time. */
const MOST_PROBES = 4096;
/** All names of the largest kernels together are below 16 MiB. Names beyond this are empty. */
const LARGEST_POOL = 0x4000000;

/**
 * Many names in few arrays, found by hash: 200,000 strings would take the collector longer than the look-ups.
 *
 * Names are ASCII; each has a number, in the order in which they were added, and one byte of the owner's choice.
 */
export class NameIndex {
  #pool: Buffer;
  #used = 0;
  #count = 0;
  /** The number of times that each byte occurs in the first `used` bytes of names. */
  #frequencies: { readonly used: number; readonly counts: Uint32Array } | undefined;
  readonly #starts: Uint32Array;
  readonly #marks: Uint8Array;
  /** Number of the name plus one, at the place of its hash or the next free one. */
  readonly #slots: Int32Array;
  readonly #mask: number;

  /** @param capacity how many names there will be at most */
  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(8, capacity * 2)));
    this.#pool = Buffer.alloc(Math.max(64, capacity * 24));
    this.#starts = new Uint32Array(capacity + 1);
    this.#marks = new Uint8Array(capacity);
    this.#slots = new Int32Array(size);
    this.#mask = size - 1;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds the name that lies from start to end. */
  add(bytes: Uint8Array, start: number, end: number, mark = 0): void {
    const size = this.#used + end - start > LARGEST_POOL ? 0 : Math.max(0, end - start);
    if (this.#used + size > this.#pool.length) {
      const larger = Buffer.alloc(Math.max(this.#pool.length * 2, this.#used + size));
      larger.set(this.#pool);
      this.#pool = larger;
    }
    let hash = FNV_START;
    for (let at = start; at < start + size; at++) {
      const byte = bytes[at] as number;
      this.#pool[this.#used++] = byte;
      hash = Math.imul(hash ^ byte, FNV_PRIME);
    }
    const name = this.#count++;
    this.#starts[name + 1] = this.#used;
    this.#marks[name] = mark;
    let slot = mix(hash) & this.#mask;
    for (let probe = 0; probe < MOST_PROBES; probe++, slot = (slot + 1) & this.#mask) {
      if (this.#slots[slot] === 0) {
        this.#slots[slot] = name + 1;
        break;
      }
    }
  }

  /** Finds the first of the names that are equal to this one. */
  find(text: string): number | undefined {
    let slot = this.#slot(text);
    for (let probe = 0; probe < MOST_PROBES; probe++, slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot] as number;
      if (entry === 0) return undefined;
      if (this.#equals(entry - 1, text)) return entry - 1;
    }
    return undefined;
  }

  /** Finds every name that is equal to this one, in the order in which they were added. */
  findAll(text: string): number[] {
    const found: number[] = [];
    let slot = this.#slot(text);
    for (let probe = 0; probe < MOST_PROBES && this.#slots[slot] !== 0; probe++, slot = (slot + 1) & this.#mask) {
      const name = (this.#slots[slot] as number) - 1;
      if (this.#equals(name, text)) found.push(name);
    }
    return found;
  }

  /** Finds every name that contains these texts one behind the other, in the order in which they were added. */
  *numbersWith(texts: readonly string[]): IterableIterator<number> {
    const wanted = texts.filter((text) => text !== "").map((text) => Buffer.from(text, "latin1"));
    const rarest = this.#chooseRarest(wanted);
    if (rarest === undefined) for (let name = 0; name < this.#count; name++) yield name;
    else {
      const names = this.#pool.subarray(0, this.#used);
      for (let at = names.indexOf(rarest); at >= 0;) {
        const name = this.#nameAt(at);
        const end = this.#starts[name + 1] as number;
        // The names follow each other without a gap: a text may be found at the end of one and the start of the next.
        const isWithin = at + rarest.length <= end;
        if (isWithin && this.#contains(name, wanted)) yield name;
        at = names.indexOf(rarest, isWithin ? end : at + 1);
      }
    }
  }

  /** Chooses what fewest names contain, as far as that can be said without a look at them. */
  #chooseRarest(texts: readonly Buffer[]): Buffer | undefined {
    if (texts.length < 2 || texts.some(({ length }) => length > 1)) {
      return texts.reduce<Buffer | undefined>((a, b) => (a !== undefined && a.length >= b.length ? a : b), undefined);
    }
    const counts = this.#countBytes();
    const frequency = (text: Buffer): number => counts[text[0] as number] as number;
    return texts.reduce((a, b) => (frequency(a) <= frequency(b) ? a : b));
  }

  #countBytes(): Uint32Array {
    if (this.#frequencies?.used !== this.#used) {
      const counts = new Uint32Array(256);
      for (let at = 0; at < this.#used; at++) counts[this.#pool[at] as number]!++;
      this.#frequencies = { used: this.#used, counts };
    }
    return this.#frequencies.counts;
  }

  #contains(name: number, texts: readonly Buffer[]): boolean {
    let at = this.#starts[name] as number;
    const end = this.#starts[name + 1] as number;
    for (const text of texts) {
      while (at + text.length <= end && !this.#isAt(at, text)) at++;
      if (at + text.length > end) return false;
      at += text.length;
    }
    return true;
  }

  #isAt(place: number, text: Buffer): boolean {
    for (let index = 0; index < text.length; index++) if (this.#pool[place + index] !== text[index]) return false;
    return true;
  }

  /** Finds the name that a byte belongs to: the last one that does not begin behind it. */
  #nameAt(place: number): number {
    let from = 0;
    let to = this.#count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#starts[middle] as number) <= place) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }

  /** Gets a name by its number. */
  name(number: number): string {
    return this.#pool.toString("latin1", this.#starts[number], this.#starts[number + 1]);
  }

  /** Gets the byte that was given with a name. */
  mark(number: number): number {
    return this.#marks[number] as number;
  }

  /** Returns whether two names, by their numbers, are equal. */
  isSame(one: number, other: number): boolean {
    const [start, from] = [this.#starts[one] as number, this.#starts[other] as number];
    const size = (this.#starts[one + 1] as number) - start;
    if ((this.#starts[other + 1] as number) - from !== size) return false;
    for (let at = 0; at < size; at++) if (this.#pool[start + at] !== this.#pool[from + at]) return false;
    return true;
  }

  #slot(text: string): number {
    let hash = FNV_START;
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
    return mix(hash) & this.#mask;
  }

  #equals(name: number, text: string): boolean {
    const start = this.#starts[name] as number;
    if ((this.#starts[name + 1] as number) - start !== text.length) return false;
    for (let at = 0; at < text.length; at++) if (this.#pool[start + at] !== text.charCodeAt(at)) return false;
    return true;
  }
}

/** The multiplication leaves the low bits, which choose the slot, less mixed than the high ones. */
function mix(hash: number): number {
  return hash ^ (hash >>> 15);
}
