import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { LinuxProcess } from "../../systems/linux/linux-process";
import { walkList } from "../../systems/linux/structs/kernel-list";
import { walkTree } from "../../systems/linux/structs/red-black-tree";
import { addressOfStruct, typeOfStruct, viewStruct } from "../../systems/linux/structs/struct-view";
import type { VirtualMemory } from "../../systems/memory/virtual-memory";
import type { CompoundType, GuestType } from "../../systems/symbols/guest-type";
import { findMember } from "../../systems/symbols/member-path";
import { MissingTypeError } from "../../systems/errors";
import type { TypeSource } from "../../systems/symbols/type-source";
import { listErrorDetails } from "./error-details";
import type { checkArguments } from "./sandbox-api";

type Query = readonly [
  signature: Parameters<typeof checkArguments>[1],
  answer: (guest: LinuxGuest, ...args: never[]) => unknown,
];

/** What of a process is read when it is asked for. */
const PROCESS_PARTS = [
  ...["tgid", "uid", "credentials", "threads", "commandLine", "executable", "startTime", "startTimeNs"],
  ...["memoryMap", "openFiles", "sockets", "mounts"],
];

const MEMORY_CALLS = ["read", "readSome", "view", "u8", "u16", "u32", "u64", "pointer", "text", "translate"];

/** Longer ways from a struct with a name to one without do not occur. */
const LONGEST_WAY = 64;

/**
 * Which type a struct has, as text: the kernel module whose types it is of ("" for the kernel), the name of a struct, and
 * the members that lead from there to one without a name, through pointers and arrays.
 */
type TypeName = readonly string[];

/** What a script in the sandbox may ask about a guest: arguments and answers are copies. */
export const GUEST_QUERIES: Readonly<Record<string, Query>> = {
  findProcess: [["bigint"], (guest, pgd: bigint) => guest.findProcess(pgd)],
  process: [["bigint", "number", "number", "string"], readProcessPart],
  task: [["bigint"], (guest, kaddr: bigint) => guest.tasks.read(kaddr)],
  tasks: [[], (guest) => [...guest.tasks.list()]],
  kernelModules: [[], (guest) => guest.getKernelModules()],
  sockets: [[], (guest) => guest.getSockets()],
  kernelLog: [[], (guest) => guest.getKernelLog()],
  clock: [[], (guest) => guest.clock],
  findSymbol: [["string"], (guest, name: string) => guest.kernel.findSymbol(name)],
  symbol: [["string"], (guest, names: string) => guest.kernel.symbol(...names.split("\n"))],
  offset: [
    ["string", "string"],
    (guest, struct: string, paths: string) => guest.kernel.offset(struct, ...paths.split("\n")),
  ],
  sizeOf: [["string"], (guest, struct: string) => guest.kernel.sizeOf(struct)],
  memory: [["bigint", "string", "bigint", "number?"], accessMemory],
  hasModuleTypes: [["string"], (guest, module: string) => void guest.getModuleTypes(module)],
  checkType: [["string"], (guest, name: string) => void getType(guest, name.split("\n"))],
  readMember: [["string", "bigint", "string"], readMember],
  hasMember: [
    ["string", "string"],
    (guest, name: string, member: string) => findMember(getType(guest, name.split("\n")), member) !== undefined,
  ],
  listMembers: [
    ["string"],
    (guest, name: string) => Object.keys(viewStruct(guest.kernel, getType(guest, name.split("\n")), 0n)),
  ],
  kindOf: [["string"], (guest, name: string) => describeKind(getType(guest, name.split("\n")))],
  list: [
    ["bigint", "string", "string"],
    (guest, head: bigint, name: string, member: string) => {
      getType(guest, ["", name]);
      const offset = guest.kernel.offset(name, member);
      return collect(walkList(guest.kernel.memory, head, `the list of ${name}.${member}`, offset));
    },
  ],
  tree: [
    ["bigint", "string", "string"],
    (guest, root: bigint, name: string, member: string) => {
      getType(guest, ["", name]);
      const offset = guest.kernel.offset(name, member);
      return collect(walkTree(guest.kernel, root, `the tree of ${name}.${member}`, offset));
    },
  ],
};

function readProcessPart(guest: LinuxGuest, kaddr: bigint, pid: number, ppid: number, part: string): unknown {
  if (!PROCESS_PARTS.includes(part)) throw new TypeError(`a process has no ${part}`);
  const process = new LinuxProcess(guest, { ...guest.tasks.read(kaddr), tgid: pid }, ppid);
  return (process as unknown as Record<string, unknown>)[part];
}

/** @param pgd of a process; 0 for the kernel */
function accessMemory(
  guest: LinuxGuest,
  pgd: bigint,
  call: string,
  address: bigint,
  size: number | undefined,
): unknown {
  if (!MEMORY_CALLS.includes(call)) throw new TypeError(`a guest's memory has no ${call}()`);
  const memory = pgd === 0n ? guest.kernel.memory : guest.kernel.space(pgd);
  return memory[call as "text"](address, size as number) satisfies ReturnType<VirtualMemory["text"]>;
}

function getTypes(guest: LinuxGuest, module: string): TypeSource {
  return module === "" ? guest.kernel.types : guest.getModuleTypes(module);
}

function getType(guest: LinuxGuest, [module = "", name = "", ...members]: TypeName): CompoundType {
  const types = getTypes(guest, module);
  let type = types.findCompound(name);
  if (type === undefined) throw new MissingTypeError(name, undefined, types.origin);
  for (const member of members.slice(0, LONGEST_WAY)) {
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
  for (let step = 0; step < LONGEST_WAY; step++) {
    if (at.kind === "array") at = at.element;
    else if (at.kind === "pointer") at = at.target;
    else break;
  }
  if (at.kind === "incomplete") return types.findCompound(at.name);
  return at.kind === "struct" || at.kind === "union" ? at : undefined;
}

function readMember(guest: LinuxGuest, name: string, address: bigint, member: string): unknown {
  const way = name.split("\n");
  const value: unknown = viewStruct(guest.kernel, getType(guest, way), address)[member];
  return describeValue(guest, value, way, member);
}

/** A struct becomes ["struct", name of its type, address]; a list ["list", its elements]; all else ["value", it]. */
function describeValue(guest: LinuxGuest, value: unknown, way: TypeName, member: string): unknown {
  if (Array.isArray(value)) return ["list", value.map((item) => describeValue(guest, item, way, member))];
  if (typeof value !== "object" || value === null) return ["value", value];
  const type = typeOfStruct(value);
  const [module = ""] = way;
  const isNamed = type.name !== "" && getTypes(guest, module).findCompound(type.name) === type;
  const typeName = isNamed ? [module, type.name] : [...way, member];
  if (typeName.length > LONGEST_WAY) throw new RangeError(`${typeName.slice(1).join(".")} leads too far`);
  return ["struct", typeName.join("\n"), addressOfStruct(value)];
}

function describeKind(type: CompoundType): string {
  return `${type.kind} ${type.name || "without a name"}`;
}

/** What was found before an error belongs to the answer. */
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
