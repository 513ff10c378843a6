import type { CompoundType, EnumType, GuestType, Member } from "../guest-type";
import type { IsfDocument, IsfField, IsfReference, IsfUserType } from "./isf-document";
import type { TypeSource } from "../type-source";

const DEEPEST_ARRAY = 32;

/** The types of an ISF file. They are made when they are asked for. */
export class IsfTypes implements TypeSource {
  readonly pointerSize: 4 | 8;
  readonly #document: IsfDocument;
  readonly #compounds = new Map<string, CompoundType>();

  constructor(
    document: IsfDocument,
    readonly origin: string,
  ) {
    this.#document = document;
    this.pointerSize = document.base_types["pointer"]?.size === 4 ? 4 : 8;
  }

  findCompound(name: string): CompoundType | undefined {
    const made = this.#compounds.get(name);
    if (made) return made;
    const found = own(this.#document.user_types, name);
    if (found === undefined) return undefined;
    const type = this.#makeCompound(name, found);
    this.#compounds.set(name, type);
    return type;
  }

  findEnum(name: string): EnumType | undefined {
    const found = own(this.#document.enums, name);
    if (found === undefined) return undefined;
    const values = new Map<string, bigint>();
    for (const [key, value] of Object.entries(found.constants)) values.set(key, BigInt(value));
    const isSigned = own(this.#document.base_types, found.base)?.signed ?? false;
    return { kind: "enum", name: realName(name), size: found.size, isSigned, values };
  }

  /** Finds nothing: what makes ISF files follows typedefs. */
  findTypedef(): undefined {
    return undefined;
  }

  *compoundNames(): Iterable<string> {
    for (const name of Object.keys(this.#document.user_types)) if (realName(name) !== "") yield name;
  }

  *enumNames(): Iterable<string> {
    for (const name of Object.keys(this.#document.enums)) if (realName(name) !== "") yield name;
  }

  /** Lists nothing: see findTypedef(). */
  typedefNames(): Iterable<string> {
    return [];
  }

  *variables(): Iterable<readonly [name: string, type: GuestType]> {
    for (const [name, { type }] of Object.entries(this.#document.symbols)) {
      if (type !== undefined) yield [name, this.#get(type)];
    }
  }

  #makeCompound(name: string, { kind, size, fields }: IsfUserType): CompoundType {
    let members: readonly Member[] | undefined;
    // Files for Windows have them in the order of their names.
    const list = (): readonly Member[] =>
      Object.entries(fields)
        .map(([field, facts]) => this.#makeMember(field, facts))
        .sort((a, b) => a.bitOffset - b.bitOffset);
    return {
      kind: kind === "union" ? "union" : "struct",
      name: realName(name),
      size,
      get members() {
        members ??= list();
        return members;
      },
    };
  }

  #makeMember(name: string, { offset, type, anonymous }: IsfField): Member {
    const isBits = type.kind === "bitfield";
    const get = (): GuestType => this.#get(isBits ? type.type : type);
    return {
      name: anonymous === true ? "" : name,
      get type() {
        return get();
      },
      bitOffset: offset * 8 + (isBits ? type.bit_position : 0),
      bitSize: isBits ? type.bit_length : 0,
    };
  }

  #get(type: IsfReference, depth = 0): GuestType {
    switch (type.kind) {
      case "struct":
      case "union":
      case "class":
        return this.findCompound(type.name) ?? { kind: "incomplete", name: type.name, size: 0 };
      case "enum":
        return this.findEnum(type.name) ?? { kind: "incomplete", name: type.name, size: 0 };
      case "pointer": {
        const get = (): GuestType => this.#get(type.subtype);
        return {
          kind: "pointer",
          size: this.pointerSize,
          get target() {
            return get();
          },
        };
      }
      case "array": {
        const element: GuestType =
          depth < DEEPEST_ARRAY ? this.#get(type.subtype, depth + 1) : { kind: "void", size: 0 };
        return { kind: "array", size: element.size * type.count, count: type.count, element };
      }
      case "function":
        return { kind: "function", size: 0 };
      case "bitfield":
        return this.#get(type.type);
      default:
        return this.#getBase(type.name);
    }
  }

  #getBase(name: string): GuestType {
    const base = own(this.#document.base_types, name);
    if (base === undefined) return { kind: "incomplete", name, size: 0 };
    const { kind, size, signed } = base;
    if (kind === "void") return { kind: "void", size: 0 };
    if (kind === "float") return { kind: "float", name, size };
    return { kind: "integer", name, size, isSigned: signed, meaning: kind === "int" ? "number" : kind };
  }
}

/** A name in the file may be one that every object has, such as "constructor". */
function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Types without a name have been given one: unnamed_1234abcd, or __anonymous_108e in files for Windows. */
function realName(name: string): string {
  return /^(unnamed_|__anonymous_|<unnamed-)/.test(name) ? "" : name;
}
