import { PdbError } from "../../errors";
import type { CompoundType, EnumType, GuestType, Member } from "../guest-type";
import type { TypeSource } from "../type-source";
import { type FieldEntry, listFields } from "./field-list";
import { makeSimpleType } from "./simple-types";
import { FIRST_RECORD, Leaf, type TypeHead, type TypeTable } from "./type-table";

/** Qualifiers and arrays within each other. */
const DEEPEST = 64;
/** No struct or array is larger: what says so is damaged. */
const LARGEST = 1n << 40n;
const FUNCTION: GuestType = { kind: "function", size: 0 };

/** The names that only the records of symbols have. */
export interface PdbNames {
  /** Lists typedefs and tags, with the number of their type. */
  typeNames(): Iterable<{ readonly name: string; readonly type: number }>;
  /** Lists the data whose type is said. */
  variables(): Iterable<{ readonly name: string; readonly type: number }>;
}

/** The types of a PDB file. They are made when they are asked for. */
export class PdbTypes implements TypeSource {
  readonly #table: TypeTable;
  readonly #names: PdbNames;
  readonly #made = new Map<number, GuestType>();
  #typedefs: Map<string, number> | undefined;

  constructor(
    table: TypeTable,
    names: PdbNames,
    readonly pointerSize: 4 | 8,
    readonly origin: string,
  ) {
    this.#table = table;
    this.#names = names;
  }

  findCompound(name: string): CompoundType | undefined {
    const type = this.#find(name);
    return type?.kind === "struct" || type?.kind === "union" ? type : undefined;
  }

  findEnum(name: string): EnumType | undefined {
    const type = this.#find(name);
    return type?.kind === "enum" ? type : undefined;
  }

  findTypedef(name: string): GuestType | undefined {
    const index = this.#getTypedefs().get(name);
    return index === undefined ? undefined : this.#get(index);
  }

  *compoundNames(): Iterable<string> {
    for (const [name, index] of this.#table.definitions()) if (this.#table.kind(index) !== Leaf.Enum) yield name;
  }

  *enumNames(): Iterable<string> {
    for (const [name, index] of this.#table.definitions()) if (this.#table.kind(index) === Leaf.Enum) yield name;
  }

  typedefNames(): Iterable<string> {
    return this.#getTypedefs().keys();
  }

  *variables(): Iterable<readonly [name: string, type: GuestType]> {
    for (const { name, type } of this.#names.variables()) yield [name, this.#get(type)];
  }

  #find(name: string): GuestType | undefined {
    const index = this.#table.findNamed(name);
    return index === undefined ? undefined : this.#get(index);
  }

  /** The compiler writes a typedef of each tag's own name too, which says nothing. */
  #getTypedefs(): Map<string, number> {
    if (this.#typedefs) return this.#typedefs;
    this.#typedefs = new Map();
    for (const { name, type } of this.#names.typeNames()) {
      const isTag = type >= FIRST_RECORD && this.#table.findHead(type)?.name === name;
      if (!isTag && !this.#typedefs.has(name)) this.#typedefs.set(name, type);
    }
    return this.#typedefs;
  }

  #get(index: number, depth = 0): GuestType {
    const made = this.#made.get(index);
    if (made) return made;
    if (depth > DEEPEST) throw new PdbError(`type 0x${index.toString(16)} in ${this.origin} contains itself`);
    const type = index < FIRST_RECORD ? makeSimpleType(index) : this.#make(index, depth);
    this.#made.set(index, type);
    return type;
  }

  #make(index: number, depth: number): GuestType {
    const { bytes } = this.#table;
    const at = this.#table.start(index);
    switch (this.#table.kind(index)) {
      case Leaf.Modifier:
      case Leaf.BitField:
        return this.#get(bytes.u32(at), depth + 1);
      case Leaf.Pointer:
        return this.#makePointer(bytes.u32(at), (bytes.u32(at + 4) >>> 13) & 0x3f);
      case Leaf.Array: {
        const element = this.#get(bytes.u32(at), depth + 1);
        const size = toSize(bytes.leafNumber(at + 8).value, index);
        return { kind: "array", size, count: element.size > 0 ? Math.floor(size / element.size) : 0, element };
      }
      case Leaf.Procedure:
      case Leaf.MemberFunction:
        return FUNCTION;
      default: {
        const head = this.#table.findHead(index);
        if (!head) return { kind: "incomplete", name: `type 0x${index.toString(16)}`, size: 0 };
        return head.isForward ? this.#define(head) : this.#makeNamed(index, head, depth);
      }
    }
  }

  #makePointer(target: number, size: number): GuestType {
    const get = (): GuestType => this.#get(target);
    return {
      kind: "pointer",
      size: size === 4 || size === 8 ? size : this.pointerSize,
      get target() {
        return get();
      },
    };
  }

  #define(head: TypeHead): GuestType {
    const found = this.#table.findDefinition(head);
    return found === undefined ? { kind: "incomplete", name: head.name, size: 0 } : this.#get(found);
  }

  #makeNamed(index: number, head: TypeHead, depth: number): GuestType {
    if (head.kind === Leaf.Enum) return this.#makeEnum(head, depth);
    let members: readonly Member[] | undefined;
    const list = (): readonly Member[] =>
      head.fields === 0 ? [] : listFields(this.#table, head.fields).flatMap((entry) => this.#makeMember(entry, index));
    return {
      kind: head.kind === Leaf.Union ? "union" : "struct",
      name: head.name,
      size: toSize(head.size, index),
      get members() {
        members ??= list();
        return members;
      },
    };
  }

  #makeEnum({ name, base, fields }: TypeHead, depth: number): EnumType {
    const type = this.#get(base, depth + 1);
    const isSigned = type.kind === "integer" && type.isSigned;
    const bits = Math.max(8, type.size * 8);
    const values = new Map<string, bigint>();
    for (const { kind, name: key, number } of fields === 0 ? [] : listFields(this.#table, fields)) {
      if (kind === "value") values.set(key, isSigned ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number));
    }
    return { kind: "enum", name, size: type.size, isSigned, values };
  }

  /** The members of a base class belong to the derived one, as those of an anonymous struct. */
  #makeMember({ kind, name, type, number }: FieldEntry, owner: number): Member[] {
    if (kind === "value") return [];
    const get = (): GuestType => this.#get(type);
    const isBits = type >= FIRST_RECORD && this.#table.kind(type) === Leaf.BitField;
    const at = isBits ? this.#table.start(type) : 0;
    return [
      {
        name,
        get type() {
          return get();
        },
        bitOffset: toSize(number, owner) * 8 + (isBits ? this.#table.bytes.u8(at + 5) : 0),
        bitSize: isBits ? this.#table.bytes.u8(at + 4) : 0,
      },
    ];
  }
}

function toSize(size: bigint, index: number): number {
  if (size >= 0n && size < LARGEST) return Number(size);
  throw new PdbError(`type 0x${index.toString(16)} has a size or offset of ${size} bytes: it is damaged`);
}
