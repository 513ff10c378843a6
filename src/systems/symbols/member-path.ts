import type { CompoundType, GuestType, Member } from "./guest-type";
import { MissingTypeError } from "../errors";
import type { TypeSource } from "./type-source";

/** The number of members that are looked at for one name. The largest struct of a kernel has some hundreds. */
const MOST_MEMBERS = 100_000;
/** Anonymous structs within anonymous structs: deeper nesting than this is no kernel's. */
const DEEPEST = 16;

/** A place within a struct. */
export interface Place {
  readonly type: GuestType;
  /** In bytes from the start of the struct; of a bit-field, of the byte in which it begins. */
  readonly offset: number;
  /** From the start of the byte at offset. */
  readonly bit: number;
  /** Of a bit-field; 0 for a whole member. */
  readonly bitSize: number;
}

/** Finds a member by its name, also in anonymous structs and unions; bitOffset counts from the outer struct. */
export function findMember(type: CompoundType, name: string): Member | undefined {
  return findBelow(type, name, 0, { left: MOST_MEMBERS });
}

function findBelow(type: CompoundType, name: string, depth: number, budget: { left: number }): Member | undefined {
  budget.left -= type.members.length;
  if (budget.left < 0) return undefined;
  for (const member of type.members) {
    if (member.name === name) return member;
  }
  if (depth >= DEEPEST) return undefined;
  for (const member of type.members) {
    if (member.name !== "" || (member.type.kind !== "struct" && member.type.kind !== "union")) continue;
    const inner = findBelow(member.type, name, depth + 1, budget);
    if (inner) return { ...inner, bitOffset: inner.bitOffset + member.bitOffset };
  }
  return undefined;
}

/**
 * Finds a place by its path: "mm", "f_path.dentry", "comm[3]". Pointers are not followed.
 *
 * @returns undefined when a member is missing
 */
export function findPlace(type: CompoundType, path: string): Place | undefined {
  let at: GuestType = type;
  let bits = 0;
  let bitSize = 0;
  for (const step of path.split(/[.[\]]+/).filter((word) => word !== "")) {
    if (at.kind === "array" && /^\d+$/.test(step)) {
      bits += Number(step) * at.element.size * 8;
      at = at.element;
      continue;
    }
    if (at.kind !== "struct" && at.kind !== "union") return undefined;
    const member: Member | undefined = findMember(at, step);
    if (!member) return undefined;
    bits += member.bitOffset;
    bitSize = member.bitSize;
    at = member.type;
  }
  return { type: at, offset: Math.floor(bits / 8), bit: bits % 8, bitSize };
}

/**
 * Gets a place of a named struct. Of several paths the first that exists is taken: members are renamed between versions.
 *
 * @throws MissingTypeError that names the struct or the member
 */
export function getPlace(types: TypeSource, struct: string, ...paths: readonly string[]): Place {
  const type = types.findCompound(struct);
  if (!type) throw new MissingTypeError(struct, undefined, types.origin);
  for (const path of paths) {
    const place = findPlace(type, path);
    if (place) return place;
  }
  throw new MissingTypeError(struct, paths.join(" or "), types.origin);
}
