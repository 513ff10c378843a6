import { BtfError } from "../errors";
import { BtfKind, BtfTable } from "./btf-table";
import type { CompoundType, EnumType, GuestType, Member } from "./guest-type";
import type { TypeSource } from "./type-source";

const VOID: GuestType = { kind: "void", size: 0 };
/** Typedefs and qualifiers of one type, one after the other. */
const LONGEST_CHAIN = 64;
const MOST_MEMBERS = 65536;
const SIGNED = 1;
const CHAR = 2;
const BOOL = 4;

/**
 * The types that a kernel or a kernel module says about itself, in BTF (Documentation/bpf/btf.rst).
 *
 * Types are made when they are asked for. Nothing in the bytes is trusted: references out of the table, circles of
 * typedefs and impossible counts are errors.
 */
export class Btf implements TypeSource {
  readonly #table: BtfTable;
  readonly #base: Btf | undefined;
  readonly #made = new Map<number, GuestType>();

  /**
   * @param bytes kept, and must not change
   * @param base the kernel's own BTF, when these are the types of a module
   * @throws BtfError
   */
  constructor(
    bytes: Uint8Array,
    readonly pointerSize: 4 | 8,
    readonly origin = "the kernel's BTF",
    base?: Btf,
  ) {
    this.#base = base;
    this.#table = new BtfTable(bytes, base && base.#table);
  }

  /** Counts the types, those of the base included. */
  get count(): number {
    return this.#table.end;
  }

  findCompound(name: string): CompoundType | undefined {
    const id = this.#table.findNamed(name, BtfKind.Struct) ?? this.#table.findNamed(name, BtfKind.Union);
    return id === undefined ? this.#base?.findCompound(name) : (this.#get(id) as CompoundType);
  }

  findEnum(name: string): EnumType | undefined {
    const id = this.#table.findNamed(name, BtfKind.Enum) ?? this.#table.findNamed(name, BtfKind.Enum64);
    return id === undefined ? this.#base?.findEnum(name) : (this.#get(id) as EnumType);
  }

  findTypedef(name: string): GuestType | undefined {
    const id = this.#table.findNamed(name, BtfKind.Typedef);
    return id === undefined ? this.#base?.findTypedef(name) : this.#get(id);
  }

  compoundNames(): Iterable<string> {
    return this.#names(BtfKind.Struct, BtfKind.Union);
  }

  enumNames(): Iterable<string> {
    return this.#names(BtfKind.Enum, BtfKind.Enum64);
  }

  typedefNames(): Iterable<string> {
    return this.#names(BtfKind.Typedef);
  }

  *variables(): Iterable<readonly [name: string, type: GuestType]> {
    for (let id = this.#table.start; id < this.#table.end; id++) {
      if (this.#table.kind(id) === BtfKind.Var) yield [this.#table.name(id), this.#get(id)];
    }
  }

  *#names(...kinds: readonly BtfKind[]): Iterable<string> {
    for (let id = this.#table.start; id < this.#table.end; id++) {
      if (!kinds.includes(this.#table.kind(id))) continue;
      const name = this.#table.name(id);
      if (name !== "") yield name;
    }
  }

  #get(id: number): GuestType {
    if (id < this.#table.start && this.#base) return this.#base.#get(id);
    const made = this.#made.get(id);
    if (made) return made;
    // A type that is reached by several typedefs is one object: it can be compared.
    const resolved = this.#resolve(id);
    const type = resolved === id ? this.#make(id) : this.#get(resolved);
    this.#made.set(id, type);
    return type;
  }

  /** Follows typedefs and qualifiers. */
  #resolve(id: number): number {
    let at = id;
    for (let step = 0; step < LONGEST_CHAIN; step++) {
      switch (this.#table.kind(at)) {
        case BtfKind.Typedef:
        case BtfKind.Volatile:
        case BtfKind.Const:
        case BtfKind.Restrict:
        case BtfKind.TypeTag:
        case BtfKind.Var:
          at = this.#table.reference(at);
          break;
        default:
          return at;
      }
    }
    throw new BtfError(`type ${id} of ${this.origin} is a circle of typedefs`);
  }

  #make(id: number): GuestType {
    const table = this.#table;
    const { pointerSize } = this;
    switch (table.kind(id)) {
      case BtfKind.Void:
        return VOID;
      case BtfKind.Int: {
        const encoding = (table.word(id, 0) >>> 24) & 0xf;
        const name = table.name(id);
        const size = table.size(id);
        const isChar = (encoding & CHAR) !== 0 || (size === 1 && /\bchar$/.test(name));
        const meaning = (encoding & BOOL) !== 0 ? "bool" : isChar ? "char" : "number";
        return { kind: "integer", name, size, isSigned: (encoding & SIGNED) !== 0, meaning };
      }
      case BtfKind.Float:
        return { kind: "float", name: table.name(id), size: table.size(id) };
      case BtfKind.Pointer: {
        const target = table.reference(id);
        const get = (): GuestType => this.#get(target);
        return {
          kind: "pointer",
          size: pointerSize,
          get target() {
            return get();
          },
        };
      }
      case BtfKind.Array: {
        const elementId = table.word(id, 0);
        const count = table.word(id, 2);
        // Arrays of arrays are not circular in C, but may be in damaged memory.
        const element = this.#element(elementId);
        return { kind: "array", size: element.size * count, count, element };
      }
      case BtfKind.Struct:
      case BtfKind.Union:
        return this.#makeCompound(id);
      case BtfKind.Enum:
      case BtfKind.Enum64:
        return this.#makeEnum(id);
      case BtfKind.FunctionPrototype:
      case BtfKind.Function:
        return { kind: "function", size: 0 };
      default:
        return { kind: "incomplete", name: table.name(id), size: 0 };
    }
  }

  #depth = 0;

  #element(id: number): GuestType {
    if (this.#depth >= LONGEST_CHAIN) throw new BtfError(`type ${id} of ${this.origin} is an array of itself`);
    this.#depth++;
    try {
      return this.#get(id);
    } finally {
      this.#depth--;
    }
  }

  #makeCompound(id: number): CompoundType {
    const table = this.#table;
    let members: Member[] | undefined;
    const get = (typeId: number): GuestType => this.#get(typeId);
    const list = (): Member[] => {
      const count = Math.min(table.vlen(id), MOST_MEMBERS);
      const hasBits = table.flag(id);
      return Array.from({ length: count }, (_, index) => {
        const typeId = table.word(id, index * 3 + 1);
        const place = table.word(id, index * 3 + 2);
        return {
          name: table.text(table.word(id, index * 3)),
          get type() {
            return get(typeId);
          },
          bitOffset: hasBits ? place & 0xffffff : place,
          bitSize: hasBits ? place >>> 24 : 0,
        };
      });
    };
    return {
      kind: table.kind(id) === BtfKind.Struct ? "struct" : "union",
      name: table.name(id),
      size: table.size(id),
      get members() {
        members ??= list();
        return members;
      },
    };
  }

  #makeEnum(id: number): EnumType {
    const table = this.#table;
    const isWide = table.kind(id) === BtfKind.Enum64;
    const isSigned = table.flag(id);
    const values = new Map<string, bigint>();
    const width = isWide ? 3 : 2;
    for (let index = 0; index < table.vlen(id); index++) {
      const low = BigInt(table.word(id, index * width + 1));
      const value = isWide ? (BigInt(table.word(id, index * width + 2)) << 32n) | low : low;
      values.set(
        table.text(table.word(id, index * width)),
        isSigned || !isWide ? BigInt.asIntN(isWide ? 64 : 32, value) : value,
      );
    }
    return { kind: "enum", name: table.name(id), size: table.size(id), isSigned, values };
  }
}
