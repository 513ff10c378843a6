import type { CompoundType, EnumType, GuestType } from "./guest-type";

/** A source of types: the guest's own BTF, a profile, an ISF file. */
export interface TypeSource {
  /** For messages: "the kernel's BTF", or a file's name. */
  readonly origin: string;
  /** In bytes. */
  readonly pointerSize: 4 | 8;
  /** Finds a struct or union that is defined, by its name without "struct". */
  findCompound(name: string): CompoundType | undefined;
  /** Finds an enumeration by its name. */
  findEnum(name: string): EnumType | undefined;
  /** Finds what a typedef stands for. */
  findTypedef(name: string): GuestType | undefined;
  /** Lists the names of all structs and unions that are defined. */
  compoundNames(): Iterable<string>;
  /** Lists the names of all enumerations that are defined. */
  enumNames(): Iterable<string>;
  /** Lists the names of all typedefs. */
  typedefNames(): Iterable<string>;
  /** Lists the variables whose types are said: for most kernels only those that each vCPU has of its own. */
  variables(): Iterable<readonly [name: string, type: GuestType]>;
}

/** Types that are loaded when they are first asked for. */
export class LazyTypes implements TypeSource {
  readonly #load: () => TypeSource;
  #types: TypeSource | undefined;

  constructor(
    readonly origin: string,
    readonly pointerSize: 4 | 8,
    load: () => TypeSource,
  ) {
    this.#load = load;
  }

  /** The types themselves, which are loaded now at the latest. */
  get source(): TypeSource {
    return this.#get();
  }

  findCompound(name: string): CompoundType | undefined {
    return this.#get().findCompound(name);
  }

  findEnum(name: string): EnumType | undefined {
    return this.#get().findEnum(name);
  }

  findTypedef(name: string): GuestType | undefined {
    return this.#get().findTypedef(name);
  }

  compoundNames(): Iterable<string> {
    return this.#get().compoundNames();
  }

  enumNames(): Iterable<string> {
    return this.#get().enumNames();
  }

  typedefNames(): Iterable<string> {
    return this.#get().typedefNames();
  }

  variables(): Iterable<readonly [name: string, type: GuestType]> {
    return this.#get().variables();
  }

  #get(): TypeSource {
    this.#types ??= this.#load();
    return this.#types;
  }
}
