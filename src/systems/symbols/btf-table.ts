import { BtfError } from "../errors";

/** The kinds of BTF, as include/uapi/linux/btf.h numbers them. */
export const enum BtfKind {
  Void = 0,
  Int = 1,
  Pointer = 2,
  Array = 3,
  Struct = 4,
  Union = 5,
  Enum = 6,
  Forward = 7,
  Typedef = 8,
  Volatile = 9,
  Const = 10,
  Restrict = 11,
  Function = 12,
  FunctionPrototype = 13,
  Var = 14,
  DataSection = 15,
  Float = 16,
  DeclTag = 17,
  TypeTag = 18,
  Enum64 = 19,
}

const MAGIC = 0xeb9f;
const LONGEST_NAME = 512;
/** More names than this with one hash are no longer found by name: hostile types must not take quadratic time. */
const MOST_PROBES = 4096;
/** Sizes of a record: the part that all have, and by kind what follows once, and what follows for each member. */
const RECORD = 12;
const ONCE = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
const EACH = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];

/** The records of BTF by their number: types of a module continue the numbers and the strings of the kernel's. */
export class BtfTable {
  /** The first number of this table; 0, which is void, when it has no base. */
  readonly start: number;
  /** One more than the last number. */
  readonly end: number;
  readonly #base: BtfTable | undefined;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #places: Uint32Array;
  readonly #strings: number;
  readonly #stringsEnd: number;
  /** The offset at which the strings of this table begin, counted from those of the base. */
  readonly #firstString: number;
  #named: Int32Array | undefined;

  /** @throws BtfError when the bytes are not BTF */
  constructor(bytes: Uint8Array, base?: BtfTable) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#bytes = bytes;
    this.#view = view;
    this.#base = base;
    if (bytes.length < 24 || view.getUint16(0, true) !== MAGIC || view.getUint8(2) !== 1) {
      throw new BtfError("these bytes do not begin as BTF of version 1");
    }
    const header = view.getUint32(4, true);
    const [typesOffset, typesSize, stringsOffset, stringsSize] = [8, 12, 16, 20].map((at) => view.getUint32(at, true));
    const types = header + typesOffset!;
    const typesEnd = types + typesSize!;
    this.#strings = header + stringsOffset!;
    this.#stringsEnd = this.#strings + stringsSize!;
    if (types % 4 !== 0 || typesEnd > bytes.length || this.#stringsEnd > bytes.length) {
      throw new BtfError(
        `BTF of ${bytes.length} bytes says that it has types up to ${typesEnd} and strings up to ${this.#stringsEnd}`,
      );
    }
    this.#firstString = base ? base.#firstString + base.#stringsEnd - base.#strings : 0;
    this.start = base ? base.end : 0;
    const places = new Uint32Array((typesSize! / RECORD + 1) | 0);
    let count = base ? 0 : 1;
    for (let at = types; at < typesEnd;) {
      if (at + RECORD > typesEnd) throw new BtfError(`BTF ends within type ${this.start + count}`);
      const info = view.getUint32(at + 4, true);
      const kind = (info >>> 24) & 0x1f;
      const each = EACH[kind];
      if (each === undefined || kind === 0)
        throw new BtfError(`type ${this.start + count} of BTF has the unknown kind ${kind}`);
      places[count++] = at;
      at += RECORD + (ONCE[kind] as number) + each * (info & 0xffff);
      if (at > typesEnd) throw new BtfError(`BTF ends within type ${this.start + count - 1}`);
    }
    this.#places = places.slice(0, count);
    this.end = this.start + count;
  }

  kind(id: number): BtfKind {
    if (id === 0) return BtfKind.Void;
    const table = this.#owner(id);
    return (table.#view.getUint32(table.#place(id) + 4, true) >>> 24) & 0x1f;
  }

  /** Counts the members, values or parameters. */
  vlen(id: number): number {
    const table = this.#owner(id);
    return table.#view.getUint32(table.#place(id) + 4, true) & 0xffff;
  }

  /** Reads the flag of a record: bit-fields in a struct, signed values in an enumeration. */
  flag(id: number): boolean {
    const table = this.#owner(id);
    return table.#view.getUint32(table.#place(id) + 4, true) >>> 31 === 1;
  }

  size(id: number): number {
    return this.reference(id);
  }

  /** Gets the number of the type that a record is about, which shares its place with the size. */
  reference(id: number): number {
    const table = this.#owner(id);
    return table.#view.getUint32(table.#place(id) + 8, true);
  }

  name(id: number): string {
    const table = this.#owner(id);
    return table.text(table.#view.getUint32(table.#place(id), true));
  }

  /** Gets a word of what follows the record. */
  word(id: number, index: number): number {
    const table = this.#owner(id);
    return table.#view.getUint32(table.#place(id) + RECORD + index * 4, true);
  }

  /** Gets a string by its offset. */
  text(offset: number): string {
    if (this.#base && offset < this.#firstString) return this.#base.text(offset);
    const start = this.#strings + offset - this.#firstString;
    if (start >= this.#stringsEnd) throw new BtfError(`a name of BTF is beyond its strings, at ${offset}`);
    const limit = Math.min(this.#stringsEnd, start + LONGEST_NAME);
    let end = start;
    while (end < limit && this.#bytes[end] !== 0) end++;
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, end - start).toString("latin1");
  }

  /** Finds the first type of a kind with a name, in this table alone. */
  findNamed(name: string, kind: BtfKind): number | undefined {
    const slots = (this.#named ??= this.#indexNames());
    const mask = slots.length - 1;
    let slot = mix(hashText(name)) & mask;
    for (let probe = 0; probe < MOST_PROBES; probe++, slot = (slot + 1) & mask) {
      const id = slots[slot]!;
      if (id === 0) return undefined;
      if (this.kind(id) === kind && this.name(id) === name) return id;
    }
    return undefined;
  }

  /** Types by the hash of their name, each at the place of its hash or the next free one: about 15,000 have a name that can be asked for. */
  #indexNames(): Int32Array {
    const slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(8, (this.end - this.start) * 2))));
    const mask = slots.length - 1;
    for (let index = this.start === 0 ? 1 : 0; index < this.#places.length; index++) {
      const at = this.#places[index]!;
      const kind = (this.#view.getUint32(at + 4, true) >>> 24) & 0x1f;
      const isAsked = kind === BtfKind.Struct || kind === BtfKind.Union || kind === BtfKind.Typedef;
      if (!isAsked && kind !== BtfKind.Enum && kind !== BtfKind.Enum64) continue;
      const offset = this.#view.getUint32(at, true);
      if (offset === 0) continue;
      let slot = mix(this.#hashAt(offset)) & mask;
      for (let probe = 0; probe < MOST_PROBES; probe++, slot = (slot + 1) & mask) {
        if (slots[slot] === 0) {
          slots[slot] = this.start + index;
          break;
        }
      }
    }
    return slots;
  }

  #hashAt(offset: number): number {
    if (this.#base && offset < this.#firstString) return this.#base.#hashAt(offset);
    const start = this.#strings + offset - this.#firstString;
    let hash = 0;
    for (let at = start; at < Math.min(start + LONGEST_NAME, this.#stringsEnd); at++) {
      const byte = this.#bytes[at] as number;
      if (byte === 0) break;
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    return hash;
  }

  #owner(id: number): BtfTable {
    return this.#base && id < this.start ? this.#base.#owner(id) : this;
  }

  #place(id: number): number {
    const place = this.#places[id - this.start];
    if (place === undefined || id === 0) throw new BtfError(`there is no type ${id} in BTF: it has ${this.end}`);
    return place;
  }
}

function hashText(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return hash;
}

/** The multiplication leaves the low bits, which choose the slot, less mixed than the high ones. */
function mix(hash: number): number {
  return hash ^ (hash >>> 15);
}
