import type { CompoundType, EnumType, GuestType } from "./guest-type";
import type { TypeSource } from "./type-source";

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
