import { walkList } from "../../../systems/structs/kernel-list";
import { walkTree } from "../../../systems/linux/structs/red-black-tree";
import { addressOfStruct, typeOfStruct, viewStruct } from "../../../systems/structs/struct-view";
import type { LinuxGuest } from "../../../systems/linux/linux-guest";
import type { WindowsGuest } from "../../../systems/windows/windows-guest";
import type { CompoundType, GuestType } from "../../../systems/symbols/guest-type";
import { findMember } from "../../../systems/symbols/member-path";
import { MissingTypeError } from "../../../systems/errors";
import type { TypeSource } from "../../../systems/symbols/type-source";
import { listErrorDetails } from "../crossing-errors";
import { operation, type Operations } from "../operation";

/** Longer paths from a struct with a name to one without do not occur. */
const LONGEST_PATH = 64;

/**
 * Which type a struct has, as text: the kernel module whose types it is of ("" for the kernel), the name of a struct, and
 * the members that lead from there to one without a name, through pointers and arrays.
 */
type TypeName = readonly string[];

/** Structs of a guest's kernel, which realm/fast/structs.ts asks about. The first argument is the guest's number. */
export const STRUCT_OPERATIONS: Operations = {
  "struct.checkModule": operation(["number", "string"], ({ systems }, id, module) => {
    systems.get(id).getModuleTypes(module);
  }),
  "struct.checkType": operation(["number", "string"], ({ systems }, id, name) => {
    getType(systems.get(id), name.split("\n"));
  }),
  "struct.readMember": operation(["number", "string", "bigint", "string"], ({ systems }, id, name, address, wanted) =>
    readMember(systems.get(id), name.split("\n"), address, wanted),
  ),
  "struct.hasMember": operation(
    ["number", "string", "string"],
    ({ systems }, id, name, wanted) => findMember(getType(systems.get(id), name.split("\n")), wanted) !== undefined,
  ),
  "struct.listMembers": operation(["number", "string"], ({ systems }, id, name) => {
    const guest = systems.get(id);
    return Object.keys(viewStruct(guest.kernel, getType(guest, name.split("\n")), 0n));
  }),
  "struct.describeKind": operation(["number", "string"], ({ systems }, id, name) => {
    const type = getType(systems.get(id), name.split("\n"));
    return `${type.kind} ${type.name || "without a name"}`;
  }),
  "struct.walkList": operation(["number", "bigint", "string", "string"], ({ guests }, id, head, name, path) => {
    const guest = guests.get(id);
    getType(guest, ["", name]);
    const offset = guest.kernel.offset(name, path);
    return collect(walkList(guest.kernel.memory, head, `the list of ${name}.${path}`, offset));
  }),
  "struct.walkTree": operation(["number", "bigint", "string", "string"], ({ guests }, id, root, name, path) => {
    const guest = guests.get(id);
    getType(guest, ["", name]);
    const offset = guest.kernel.offset(name, path);
    return collect(walkTree(guest.kernel, root, `the tree of ${name}.${path}`, offset));
  }),
};

function getTypes(guest: LinuxGuest | WindowsGuest, module: string): TypeSource {
  return module === "" ? guest.kernel.types : guest.getModuleTypes(module);
}

function getType(guest: LinuxGuest | WindowsGuest, [module = "", name = "", ...members]: TypeName): CompoundType {
  const types = getTypes(guest, module);
  let type = types.findCompound(name);
  if (type === undefined) throw new MissingTypeError(name, undefined, types.origin);
  for (const member of members.slice(0, LONGEST_PATH)) {
    const next: GuestType | undefined = findMember(type, member)?.type;
    const inner: CompoundType | undefined = next && findInner(next, types);
    if (inner === undefined) throw new MissingTypeError(type.name, member, types.origin);
    type = inner;
  }
  return type;
}

/** Finds the struct that arrays are made of or pointers lead to. */
function findInner(type: GuestType, types: TypeSource): CompoundType | undefined {
  let at = type;
  for (let step = 0; step < LONGEST_PATH; step++) {
    if (at.kind === "array") at = at.element;
    else if (at.kind === "pointer") at = at.target;
    else break;
  }
  if (at.kind === "incomplete") return types.findCompound(at.name);
  return at.kind === "struct" || at.kind === "union" ? at : undefined;
}

function readMember(guest: LinuxGuest | WindowsGuest, path: TypeName, address: bigint, member: string): unknown {
  const value: unknown = viewStruct(guest.kernel, getType(guest, path), address)[member];
  return describeValue(guest, value, path, member);
}

/** A struct becomes ["struct", name of its type, address]; a list ["list", its elements]; all else ["value", it]. */
function describeValue(guest: LinuxGuest | WindowsGuest, value: unknown, path: TypeName, member: string): unknown {
  if (Array.isArray(value)) return ["list", value.map((item) => describeValue(guest, item, path, member))];
  if (typeof value !== "object" || value === null) return ["value", value];
  const type = typeOfStruct(value);
  const [module = ""] = path;
  const isNamed = type.name !== "" && getTypes(guest, module).findCompound(type.name) === type;
  const typeName = isNamed ? [module, type.name] : [...path, member];
  if (typeName.length > LONGEST_PATH) throw new RangeError(`${typeName.slice(1).join(".")} leads too far`);
  return ["struct", typeName.join("\n"), addressOfStruct(value)];
}

/** The entries that were found before an error belong to the answer. */
function collect(addresses: Iterable<bigint>): unknown {
  const found: bigint[] = [];
  try {
    for (const address of addresses) found.push(address);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return [found, [error.name, error.message, listErrorDetails(error)]];
  }
  return [found];
}
