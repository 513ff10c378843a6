import type { CompoundType, EnumType, GuestType, Member } from "../guest-type";
import type { IsfReference } from "./isf-document";
import type { TypeSource } from "../type-source";

/** Pointers to pointers and arrays of arrays; what is deeper is damaged. */
const DEEPEST = 16;
const MOST_TYPES = 500_000;
const MOST_BITS = 64;

type Named = CompoundType | EnumType;

/** The integers of C, by the names that DWARF has for them, those of other compilers last. */
const C_INTEGERS: readonly (readonly [name: string, size: number | "long", isSigned: boolean])[] = [
  ["char", 1, true],
  ["signed char", 1, true],
  ["unsigned char", 1, false],
  ["short int", 2, true],
  ["short unsigned int", 2, false],
  ["int", 4, true],
  ["unsigned int", 4, false],
  ["long int", "long", true],
  ["long unsigned int", "long", false],
  ["long long int", 8, true],
  ["long long unsigned int", 8, false],
  ["_Bool", 1, false],
  ["short", 2, true],
  ["unsigned short", 2, false],
  ["long", "long", true],
  ["unsigned long", "long", false],
  ["long long", 8, true],
  ["unsigned long long", 8, false],
  ["bool", 1, false],
];

/**
 * Writes types as ISF has them: base_types, user_types and enums. Every struct and enumeration that is referred to is written,
 * under a name of its own: the first of a name has it, others and those without a name are numbered.
 */
export class IsfTypeWriter {
  readonly #sources: readonly TypeSource[];
  /** In bytes. */
  readonly pointerSize: 4 | 8;
  readonly #names = new Map<Named, string>();
  readonly #taken = new Map<string, Named>();
  readonly #compounds: CompoundType[] = [];
  readonly #enums: EnumType[] = [];
  readonly #bases = new Map<string, { readonly text: string; readonly size: number }>();
  #unnamed = 0;

  /**
   * @param sources where types are looked for, in this order: the kernel's, then those of its modules
   * @param longSize of C's long, in bytes
   */
  constructor(sources: readonly [TypeSource, ...TypeSource[]], longSize: number = sources[0].pointerSize) {
    this.#sources = sources;
    this.pointerSize = sources[0].pointerSize;
    this.#addBase("void", 0, false, "void");
    this.#addBase("pointer", this.pointerSize, false, "int");
    for (const [name, size, isSigned] of C_INTEGERS) {
      const kind = name.endsWith("char") ? "char" : /bool$/i.test(name) ? "bool" : "int";
      this.#addBase(name, size === "long" ? longSize : size, isSigned, kind);
    }
    for (const source of sources) this.#nameAll(source);
  }

  /** Writes `"NAME":{...}` for each struct and union, without commas in between. Comes before the others. */
  *userTypes(): IterableIterator<string> {
    // Writing one may find others, which have no name or one that is taken.
    for (let at = 0; at < this.#compounds.length; at++) {
      const type = this.#compounds[at] as CompoundType;
      const fields = this.#writeFields(type);
      yield `${JSON.stringify(this.#names.get(type))}:{"kind":"${type.kind}","size":${type.size},"fields":{${fields}}}`;
    }
  }

  /** Writes `"NAME":{...}` for each enumeration. Comes after the user types, which find those without a name. */
  *enums(): IterableIterator<string> {
    for (const type of this.#enums) {
      const constants = [...type.values].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join();
      const base = this.#enumBase(type);
      yield `${JSON.stringify(this.#names.get(type))}:{"size":${type.size},"base":"${base}","constants":{${constants}}}`;
    }
  }

  /** Writes `"NAME":{...}` for each base type. Comes last. */
  *baseTypes(): IterableIterator<string> {
    for (const { text } of this.#bases.values()) yield text;
  }

  /** Finds a struct or union by the name that it is written under. */
  findNamed(name: string): CompoundType | undefined {
    const found = this.#taken.get(name);
    return found?.kind === "enum" ? undefined : found;
  }

  /** Finds the size of a base type, in bytes. */
  findBaseSize(name: string): number | undefined {
    return this.#bases.get(name)?.size;
  }

  /** Finds a struct or union by its name in C. */
  #findCompound(name: string): CompoundType | undefined {
    for (const source of this.#sources) {
      const found = source.findCompound(name);
      if (found) return found;
    }
    return undefined;
  }

  /** Refers to a type, which is written then. */
  refer(type: GuestType, depth = 0): IsfReference {
    if (depth > DEEPEST) return { kind: "base", name: "void" };
    switch (type.kind) {
      case "struct":
      case "union":
        return { kind: type.kind, name: this.#nameOf(type) };
      case "enum":
        return { kind: "enum", name: this.#nameOf(type) };
      case "pointer":
        return { kind: "pointer", subtype: this.refer(type.target, depth + 1) };
      case "array":
        return { kind: "array", count: type.count, subtype: this.refer(type.element, depth + 1) };
      case "function":
        return { kind: "function" };
      case "integer":
        this.#addBase(type.name, type.size, type.isSigned, type.meaning === "number" ? "int" : type.meaning);
        return { kind: "base", name: type.name };
      case "float":
        this.#addBase(type.name, type.size, true, "float");
        return { kind: "base", name: type.name };
      case "incomplete": {
        // Declared here, and defined by the kernel or by another module.
        const found = this.#findCompound(type.name);
        return found ? this.refer(found, depth + 1) : { kind: "base", name: "void" };
      }
      case "void":
        return { kind: "base", name: "void" };
    }
  }

  #nameAll(source: TypeSource): void {
    for (const name of source.compoundNames()) {
      const type = source.findCompound(name);
      if (type) this.#nameOf(type);
    }
    for (const name of source.enumNames()) {
      const type = source.findEnum(name);
      if (type) this.#nameOf(type);
    }
    // What has no name is known by its typedef: kernel_cap_t, atomic_t, pgd_t.
    for (const name of source.typedefNames()) {
      const type = source.findTypedef(name);
      const isNamed = type?.kind === "struct" || type?.kind === "union" || type?.kind === "enum";
      if (isNamed && type.name === "" && !this.#names.has(type) && !this.#taken.has(name)) this.#take(type, name);
    }
  }

  #nameOf(type: Named): string {
    const known = this.#names.get(type);
    if (known !== undefined) return known;
    if (type.name !== "" && !this.#taken.has(type.name)) return this.#take(type, type.name);
    return this.#take(type, `unnamed_${this.#unnamed++}${type.name === "" ? "" : `_${type.name}`}`);
  }

  #take(type: Named, name: string): string {
    if (this.#names.size >= MOST_TYPES) throw new RangeError(`more than ${MOST_TYPES} types: this is no kernel's BTF`);
    this.#names.set(type, name);
    this.#taken.set(name, type);
    if (type.kind === "enum") this.#enums.push(type);
    else this.#compounds.push(type);
    return name;
  }

  #writeFields(type: CompoundType): string {
    const fields = new Map<string, string>();
    for (const [index, member] of type.members.entries()) {
      const isAnonymous = member.name === "";
      const isCompound = member.type.kind === "struct" || member.type.kind === "union";
      // A bit-field without a name only fills a gap.
      if (isAnonymous && !isCompound) continue;
      const name = isAnonymous ? `unnamed_field_${index}` : member.name;
      if (!fields.has(name)) fields.set(name, this.#writeField(member, isAnonymous));
    }
    return [...fields].map(([name, field]) => `${JSON.stringify(name)}:${field}`).join();
  }

  #writeField(member: Member, isAnonymous: boolean): string {
    const { type, bitOffset, bitSize } = member;
    if (bitSize > 0) return this.#writeBits(member);
    const reference = JSON.stringify(this.refer(type));
    return `{"type":${reference},"offset":${Math.floor(bitOffset / 8)}${isAnonymous ? ',"anonymous":true' : ""}}`;
  }

  /** A bit-field lies in a unit of its type's size; packed ones may reach over its end, and get a larger one. */
  #writeBits({ type, bitOffset, bitSize }: Member): string {
    const unit = Math.max(1, type.size) * 8;
    let start = bitOffset - (bitOffset % unit);
    let base: IsfReference = type.kind === "integer" || type.kind === "enum" ? this.refer(type) : UNSIGNED;
    if (bitOffset + bitSize > start + unit) {
      start = bitOffset - (bitOffset % 8);
      const isSigned = type.kind === "integer" && type.isSigned;
      base = { kind: "base", name: isSigned ? "long long int" : "long long unsigned int" };
    }
    const bits: IsfReference = {
      kind: "bitfield",
      bit_position: bitOffset - start,
      bit_length: Math.min(bitSize, MOST_BITS),
      type: base,
    };
    return `{"type":${JSON.stringify(bits)},"offset":${start / 8}}`;
  }

  #enumBase({ size, isSigned }: EnumType): string {
    const found = C_INTEGERS.find(([, bytes, sign]) => bytes === size && sign === isSigned);
    return found?.[0] ?? "unsigned int";
  }

  #addBase(name: string, size: number, isSigned: boolean, kind: string): void {
    const text = `${JSON.stringify(name)}:{"size":${size},"signed":${isSigned},"kind":"${kind}","endian":"little"}`;
    // What the kernel says is the truth, and comes later.
    if (this.#bases.get(name)?.text !== text) this.#bases.set(name, { text, size });
  }
}

const UNSIGNED: IsfReference = { kind: "base", name: "unsigned int" };
