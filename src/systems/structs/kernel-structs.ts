import { findPlace, getPlace, type Place } from "../symbols/member-path";
import { MissingTypeError } from "../errors";
import type { CompoundType } from "../symbols/guest-type";
import type { TypeSource } from "../symbols/type-source";
import type { VirtualMemory } from "../memory/virtual-memory";
import { StructCursor, type StructReader } from "./struct-cursor";

/** The structs of a kernel in memory, whatever its system: places of members are looked up once. */
export abstract class KernelStructs implements StructReader {
  abstract readonly types: TypeSource;
  /** The kernel's own address space. */
  abstract readonly memory: VirtualMemory;
  readonly #places = new Map<string, Place | undefined>();
  /** A PDB file makes a type anew for each question. */
  readonly #compounds = new Map<string, CompoundType>();

  /** 32 or 64. */
  get bits(): 32 | 64 {
    return this.memory.pointerSize === 8 ? 64 : 32;
  }

  /** Gets a member's place and type. @throws MissingTypeError */
  place(struct: string, ...paths: readonly string[]): Place {
    return this.findMember(struct, ...paths) ?? getPlace(this.types, struct, ...paths);
  }

  /** Finds a member's place; undefined when this kernel has no such struct or member. */
  findMember(struct: string, ...paths: readonly string[]): Place | undefined {
    for (const path of paths) {
      const key = `${struct}.${path}`;
      let place = this.#places.get(key);
      if (place === undefined && !this.#places.has(key)) {
        const type = this.findCompound(struct);
        place = type && findPlace(type, path);
        this.#places.set(key, place);
      }
      if (place) return place;
    }
    return undefined;
  }

  /** Finds a struct or union by its name; the same object each time. */
  findCompound(struct: string): CompoundType | undefined {
    let type = this.#compounds.get(struct);
    if (type === undefined) {
      type = this.types.findCompound(struct);
      if (type) this.#compounds.set(struct, type);
    }
    return type;
  }

  /** Gets a struct's size in bytes. @throws MissingTypeError */
  sizeOf(struct: string): number {
    const type = this.findCompound(struct);
    if (!type) throw new MissingTypeError(struct, undefined, this.types.origin);
    return type.size;
  }

  /**
   * Gets a struct at an address of the kernel.
   *
   * @throws MissingTypeError when there is no such struct
   */
  at(struct: string, address: bigint): StructCursor {
    const type = this.findCompound(struct);
    if (!type) throw new MissingTypeError(struct, undefined, this.types.origin);
    return new StructCursor(this, type, address);
  }

  /**
   * Reads a number, a pointer or a bit-field.
   *
   * @param address of the struct
   * @throws AddressError
   */
  readValue(address: bigint, place: Place): bigint {
    const at = address + BigInt(place.offset);
    const { type } = place;
    const isSigned = (type.kind === "integer" || type.kind === "enum") && type.isSigned;
    if (place.bitSize > 0) {
      const size = Math.ceil((place.bit + place.bitSize) / 8);
      const bytes = this.memory.read(at, size);
      let value = 0n;
      for (let index = size - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index] as number);
      value = BigInt.asUintN(place.bitSize, value >> BigInt(place.bit));
      return isSigned ? BigInt.asIntN(place.bitSize, value) : value;
    }
    switch (type.size) {
      case 1:
        return BigInt(isSigned ? this.memory.view(at, 1).getInt8(0) : this.memory.u8(at));
      case 2:
        return BigInt(isSigned ? this.memory.view(at, 2).getInt16(0, true) : this.memory.u16(at));
      case 4:
        return BigInt(isSigned ? this.memory.view(at, 4).getInt32(0, true) : this.memory.u32(at));
      case 8:
        return isSigned ? this.memory.view(at, 8).getBigInt64(0, true) : this.memory.u64(at);
      default:
        throw new RangeError(`a ${type.kind} of ${type.size} bytes is no number`);
    }
  }
}
