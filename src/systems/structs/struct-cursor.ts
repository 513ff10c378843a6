import { findPlace, type Place } from "../symbols/member-path";
import { MissingTypeError } from "../errors";
import type { CompoundType } from "../symbols/guest-type";
import type { TypeSource } from "../symbols/type-source";
import type { VirtualMemory } from "../memory/virtual-memory";

/** Everything that reading a struct needs: a kernel of any system has all of it. */
export interface StructReader {
  readonly types: TypeSource;
  readonly memory: VirtualMemory;
  /** Of addresses. */
  readonly bits: 32 | 64;
  /** Finds a member's place; undefined when there is no such struct or member. */
  findMember(struct: string, ...paths: readonly string[]): Place | undefined;
  /** Reads a number, a pointer or a bit-field of a struct at an address. @throws AddressError */
  readValue(address: bigint, place: Place): bigint;
}

/** A struct at an address: reads its members by their path, of several paths the first that this kernel has. */
export class StructCursor {
  readonly #kernel: StructReader;

  constructor(
    kernel: StructReader,
    readonly type: CompoundType,
    readonly address: bigint,
  ) {
    this.#kernel = kernel;
  }

  /** Returns whether this kernel's struct has the member. */
  has(path: string): boolean {
    return this.#find([path]) !== undefined;
  }

  /** Gets the address of a member. @throws MissingTypeError */
  addressOf(...paths: readonly string[]): bigint {
    return this.address + BigInt(this.#place(paths).offset);
  }

  /** Reads a member as an unsigned or signed number, as its type says. @throws MissingTypeError, AddressError */
  value(...paths: readonly string[]): bigint {
    return this.#kernel.readValue(this.address, this.#place(paths));
  }

  /** Reads a member whose values are small. @throws MissingTypeError, AddressError */
  number(...paths: readonly string[]): number {
    return Number(this.value(...paths));
  }

  /** Reads a member that is text: an array of characters, or a pointer to them. @throws MissingTypeError, AddressError */
  text(maximum: number, ...paths: readonly string[]): string {
    const place = this.#place(paths);
    const at = this.address + BigInt(place.offset);
    if (place.type.kind !== "pointer") {
      const size = place.type.size > 0 ? Math.min(place.type.size, maximum) : maximum;
      return this.#kernel.memory.text(at, size);
    }
    const target = this.#kernel.memory.pointer(at);
    return target === 0n ? "" : this.#kernel.memory.text(target, maximum);
  }

  /** Gets a member that is a struct itself. @throws MissingTypeError */
  member(...paths: readonly string[]): StructCursor {
    const place = this.#place(paths);
    return this.#at(place, this.address + BigInt(place.offset), paths);
  }

  /** Follows a member that points to a struct; undefined for NULL. @throws MissingTypeError, AddressError */
  follow(...paths: readonly string[]): StructCursor | undefined {
    const place = this.#place(paths);
    const target = this.#kernel.memory.pointer(this.address + BigInt(place.offset));
    if (target === 0n) return undefined;
    return this.#at(place, target, paths);
  }

  #at({ type }: Place, address: bigint, paths: readonly string[]): StructCursor {
    const at = type.kind === "pointer" ? type.target : type;
    const found = at.kind === "incomplete" ? this.#kernel.types.findCompound(at.name) : at;
    if (found?.kind !== "struct" && found?.kind !== "union") {
      throw new MissingTypeError(this.type.name, `${paths.join(" or ")} (as a struct)`, this.#kernel.types.origin);
    }
    return new StructCursor(this.#kernel, found, address);
  }

  #find(paths: readonly string[]): Place | undefined {
    if (this.type.name !== "") return this.#kernel.findMember(this.type.name, ...paths);
    for (const path of paths) {
      const place = findPlace(this.type, path);
      if (place) return place;
    }
    return undefined;
  }

  #place(paths: readonly string[]): Place {
    const place = this.#find(paths);
    if (!place) throw new MissingTypeError(this.type.name, paths.join(" or "), this.#kernel.types.origin);
    return place;
  }
}
