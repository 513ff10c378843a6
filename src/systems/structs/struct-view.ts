import { inspect } from "node:util";
import type { CompoundType, GuestType } from "../symbols/guest-type";
import { findMember, type Place } from "../symbols/member-path";
import { MissingTypeError } from "../errors";
import type { StructReader } from "./struct-cursor";

const LONGEST_TEXT = 4096;
const LONGEST_ARRAY = 65536;
const ADDRESS = Symbol("address");
const TYPE = Symbol("type");

/** The value of a struct's member: see GuestStruct. */
export type GuestValue = number | bigint | boolean | string | null | GuestStruct | readonly GuestValue[];

/**
 * A struct or union of the guest, live: a property is read from memory when it is asked for.
 *
 * Integers of up to 4 bytes and bit-fields are numbers, larger ones bigints; _Bool is a boolean; an array of characters is
 * text up to its NUL; other arrays are arrays; a pointer to a struct is that struct, or null; other pointers are
 * addresses. Asking for a member that the struct has not throws a MissingTypeError, an address without memory an
 * AddressError.
 */
export interface GuestStruct {
  // Members are what the guest's kernel says: any, so that a path through several structs needs no cast.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly [member: string]: any;
}

declare global {
  /** The structs of the guest's kernel by their names; a file that `rebox types` writes adds them. */
  interface ReboxGuestStructs {}
}

/** The name of a struct: an editor offers those that a file of `rebox types` declares. */
export type StructName = (keyof ReboxGuestStructs & string) | (string & Record<never, never>);

/** The type of a struct of this name: as a file of `rebox types` declares it, or anything. */
export type StructOf<Name extends string> = Name extends keyof ReboxGuestStructs
  ? ReboxGuestStructs[Name]
  : GuestStruct;

/** The object behind a struct's properties. It is also shown where a struct is printed as a whole. */
class Target {
  constructor(
    readonly kernel: StructReader,
    readonly type: CompoundType,
    readonly address: bigint,
  ) {}

  /** Called with the proxy as this. */
  [inspect.custom](this: unknown): string {
    const type = typeOfStruct(this as GuestStruct);
    const address = addressOfStruct(this as GuestStruct);
    return `${type.kind} ${type.name || "without a name"} at 0x${address.toString(16)}`;
  }
}

/** Makes a struct at an address readable by its members' names. */
export function viewStruct(kernel: StructReader, type: CompoundType, address: bigint): GuestStruct {
  const target = new Target(kernel, type, BigInt.asUintN(kernel.bits, address));
  return new Proxy(target, HANDLER) as unknown as GuestStruct;
}

/** Gets the address of a struct that was read. */
export function addressOfStruct(struct: GuestStruct): bigint {
  return (struct as unknown as { [ADDRESS]: bigint })[ADDRESS];
}

/** Gets the type of a struct that was read. */
export function typeOfStruct(struct: GuestStruct): CompoundType {
  return (struct as unknown as { [TYPE]: CompoundType })[TYPE];
}

const HANDLER: ProxyHandler<Target> = {
  get({ kernel, type, address }, name) {
    if (name === ADDRESS) return address;
    if (name === TYPE) return type;
    // What promises and printing ask of any object is no member.
    if (typeof name === "symbol" || (name === "then" && !findMember(type, name))) return undefined;
    const member = findMember(type, name);
    if (!member) throw new MissingTypeError(type.name, name, kernel.types.origin);
    const { bitOffset, bitSize } = member;
    const place = { type: member.type, offset: Math.floor(bitOffset / 8), bit: bitOffset % 8, bitSize };
    return readPlace(kernel, address, place);
  },
  has: ({ type }, name) => typeof name === "string" && findMember(type, name) !== undefined,
  ownKeys: ({ type }) => listNames(type),
  getOwnPropertyDescriptor: ({ type }, name) =>
    typeof name === "string" && findMember(type, name) ? { enumerable: true, configurable: true } : undefined,
  set({ type }, name) {
    throw new TypeError(`${type.name}.${String(name)} cannot be assigned: write memory with writeVa()`);
  },
};

function listNames(type: CompoundType, depth = 0, budget = { left: LONGEST_ARRAY }): string[] {
  budget.left -= type.members.length;
  if (budget.left < 0) return [];
  const names = type.members.flatMap((member) =>
    member.name !== ""
      ? [member.name]
      : (member.type.kind === "struct" || member.type.kind === "union") && depth < 8
        ? listNames(member.type, depth + 1, budget)
        : [],
  );
  return [...new Set(names)];
}

function readPlace(kernel: StructReader, address: bigint, place: Place): GuestValue {
  if (place.bitSize > 0) return narrow(kernel.readValue(address, place), place.bitSize <= 32);
  return readType(kernel, place.type, address + BigInt(place.offset));
}

function readType(kernel: StructReader, type: GuestType, address: bigint): GuestValue {
  const { memory } = kernel;
  switch (type.kind) {
    case "struct":
    case "union":
      return viewStruct(kernel, type, address);
    case "pointer":
      return readPointer(kernel, type.target, readAddress(kernel, type.size, address));
    case "array":
      if (type.element.kind === "integer" && type.element.meaning === "char") {
        return type.count === 0
          ? memory.text(address, LONGEST_TEXT)
          : memory.text(address, Math.min(type.count, LONGEST_TEXT));
      }
      return Array.from({ length: Math.min(type.count, elementLimit(type.element)) }, (_, index) =>
        readType(kernel, type.element, address + BigInt(index * type.element.size)),
      );
    case "integer":
    case "enum": {
      if (type.size > 8) return `0x${Buffer.from(memory.read(address, type.size)).reverse().toString("hex")}`;
      const value = kernel.readValue(address, { type, offset: 0, bit: 0, bitSize: 0 });
      return type.kind === "integer" && type.meaning === "bool" ? value !== 0n : narrow(value, type.size <= 4);
    }
    case "float":
      return type.size === 4
        ? memory.view(address, 4).getFloat32(0, true)
        : memory.view(address, 8).getFloat64(0, true);
    default:
      // Of what has no size, there is only the place.
      return address;
  }
}

/** Bounds the elements of an array so that those of arrays within it are not too many together. */
function elementLimit(element: GuestType): number {
  let inner = 1;
  for (let at = element; at.kind === "array"; at = at.element) inner *= Math.max(1, at.count);
  return Math.max(1, Math.floor(LONGEST_ARRAY / inner));
}

/** A 64-bit kernel of Windows has structs of 32-bit programs, whose pointers have 4 bytes. */
function readAddress({ memory }: StructReader, size: number, address: bigint): bigint {
  return size === 4 ? BigInt(memory.u32(address)) : memory.pointer(address);
}

function readPointer(kernel: StructReader, target: GuestType, value: bigint): GuestValue {
  const type = target.kind === "incomplete" ? kernel.types.findCompound(target.name) : target;
  if (type?.kind !== "struct" && type?.kind !== "union") return value;
  return value === 0n ? null : viewStruct(kernel, type, value);
}

function narrow(value: bigint, isSmall: boolean): number | bigint {
  return isSmall ? Number(value) : value;
}
