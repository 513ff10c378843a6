import { PdbError } from "../../errors";
import type { PdbBytes } from "./pdb-bytes";

/** Kinds of type records, microsoft-pdb's cvinfo.h. */
export const enum Leaf {
  Modifier = 0x1001,
  Pointer = 0x1002,
  Procedure = 0x1008,
  MemberFunction = 0x1009,
  FieldList = 0x1203,
  BitField = 0x1205,
  Array = 0x1503,
  Class = 0x1504,
  Structure = 0x1505,
  Union = 0x1506,
  Enum = 0x1507,
  Interface = 0x1519,
}

/** Types below this have no record: their number says what they are. */
export const FIRST_RECORD = 0x1000;
/** Bits of a definition's properties: declared only; named a second time, by a name that is its alone. */
const FORWARD = 0x80;
const HAS_UNIQUE_NAME = 0x200;
/** Of a compiler that has no name for a type. */
const UNNAMED = /^(?:.*::)?(?:<(?:unnamed|anonymous)-.*>|__unnamed)$/s;

function isNamed(kind: Leaf): boolean {
  return (kind >= Leaf.Class && kind <= Leaf.Enum) || kind === Leaf.Interface;
}

/** A struct, union or enumeration as its record begins. */
export interface TypeHead {
  readonly kind: Leaf;
  readonly isForward: boolean;
  /** The number of its list of members. */
  readonly fields: number;
  /** Of an enumeration: the number of the type that its values are kept in. */
  readonly base: number;
  /** In bytes; of an enumeration 0. */
  readonly size: bigint;
  /** Empty when it has none. */
  readonly name: string;
  /** A name that no other type has; undefined when the compiler gave none. */
  readonly uniqueName: string | undefined;
}

/** The records of the type stream by their number. */
export class TypeTable {
  /** One more than the highest number. */
  readonly end: number;
  readonly bytes: PdbBytes;
  readonly #places: Uint32Array;
  #named: { readonly names: Map<string, number>; readonly unique: Map<string, number> } | undefined;

  /**
   * @param stream the type stream, https://llvm.org/docs/PDB/TpiStream.html
   * @throws PdbError when it is damaged
   */
  constructor(stream: PdbBytes) {
    const header = stream.size === 0 ? 0 : stream.u32(4);
    const first = stream.size === 0 ? FIRST_RECORD : stream.u32(8);
    const size = stream.size === 0 ? 0 : stream.u32(16);
    if (first !== FIRST_RECORD) throw new PdbError(`${stream.what} begins with type 0x${first.toString(16)}`);
    this.bytes = stream.part(header, size);
    const places = new Uint32Array(Math.floor(size / 4));
    let count = 0;
    for (let at = 0; at + 4 <= size;) {
      const next = at + 2 + this.bytes.u16(at);
      if (next > size || next < at + 4) {
        throw new PdbError(`${stream.what} has a damaged record, type 0x${(FIRST_RECORD + count).toString(16)}`);
      }
      places[count++] = at;
      at = next;
    }
    this.#places = places.slice(0, count);
    this.end = FIRST_RECORD + count;
  }

  kind(index: number): Leaf {
    return this.bytes.u16(this.#place(index) + 2);
  }

  /** Gets the place of what follows a record's kind. */
  start(index: number): number {
    return this.#place(index) + 4;
  }

  /** Gets the place behind a record. */
  recordEnd(index: number): number {
    const at = this.#place(index);
    return at + 2 + this.bytes.u16(at);
  }

  /** Reads the beginning of a struct, union or enumeration; undefined for others. */
  findHead(index: number): TypeHead | undefined {
    const kind = this.kind(index);
    const at = this.start(index);
    const { bytes } = this;
    const isEnum = kind === Leaf.Enum;
    const isUnion = kind === Leaf.Union;
    if (!isNamed(kind)) return undefined;
    const properties = bytes.u16(at + 2);
    const { value: size, end: nameStart } = isEnum
      ? { value: 0n, end: at + 12 }
      : bytes.leafNumber(at + (isUnion ? 8 : 16));
    const end = this.recordEnd(index);
    const nameEnd = bytes.textEnd(nameStart, end);
    const name = bytes.text(nameStart, end);
    return {
      kind,
      isForward: (properties & FORWARD) !== 0,
      fields: bytes.u32(at + (isEnum ? 8 : 4)),
      base: isEnum ? bytes.u32(at + 4) : 0,
      size,
      name: UNNAMED.test(name) ? "" : name,
      uniqueName: (properties & HAS_UNIQUE_NAME) === 0 ? undefined : bytes.text(nameEnd + 1, end),
    };
  }

  /** Finds the definition of a struct, union or enumeration by its name; the first of several. */
  findNamed(name: string): number | undefined {
    return this.#names().names.get(name);
  }

  /** Finds the definition of what is declared only; undefined when the file has none. */
  findDefinition({ uniqueName, name }: TypeHead): number | undefined {
    const names = this.#names();
    return uniqueName === undefined ? names.names.get(name) : names.unique.get(uniqueName);
  }

  /** Lists the names of all definitions. */
  definitions(): Iterable<readonly [name: string, index: number]> {
    return this.#names().names;
  }

  #names(): { readonly names: Map<string, number>; readonly unique: Map<string, number> } {
    if (this.#named) return this.#named;
    const names = new Map<string, number>();
    const unique = new Map<string, number>();
    for (let index = FIRST_RECORD; index < this.end; index++) {
      const kind = this.kind(index);
      if (!isNamed(kind) || (this.bytes.u16(this.start(index) + 2) & FORWARD) !== 0) continue;
      const head = this.findHead(index) as TypeHead;
      if (head.name !== "" && !names.has(head.name)) names.set(head.name, index);
      if (head.uniqueName !== undefined && !unique.has(head.uniqueName)) unique.set(head.uniqueName, index);
    }
    this.#named = { names, unique };
    return this.#named;
  }

  #place(index: number): number {
    const place = this.#places[index - FIRST_RECORD];
    if (place === undefined) throw new PdbError(`there is no type 0x${index.toString(16)} in ${this.bytes.what}`);
    return place;
  }
}
