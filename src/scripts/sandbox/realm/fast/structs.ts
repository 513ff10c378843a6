import { createError } from "../errors";
import { ask } from "../messages";

/** A struct of the guest's kernel, live; see src/systems/structs/struct-view.ts. Its members are read in rebox. */
export type GuestStruct = Readonly<Record<string, unknown>>;

/** The struct behind a proxy. A class of its own: it must not be copied member by member, all that it leads to. */
class Target {
  constructor(
    readonly guest: number,
    /** Its type, as operations/structs.ts names types. */
    readonly type: string,
    readonly address: bigint,
  ) {}
}

type Described =
  | readonly ["value", unknown]
  | readonly ["list", readonly Described[]]
  | readonly ["struct", type: string, address: bigint];

let ProxyClass: ProxyConstructor;
const targets = new WeakMap<object, Target>();

/** Takes this realm's own Proxy, which scripts do not have. */
export function setProxy(proxy: ProxyConstructor): void {
  ProxyClass = proxy;
}

/** Asks about the structs of a guest: operations/structs.ts has the questions. */
export function askStruct(question: string, guest: number, ...args: readonly unknown[]): unknown {
  return ask(`struct.${question}`, guest, ...args);
}

function open(guest: number, described: Described): unknown {
  switch (described[0]) {
    case "struct":
      return createStruct(guest, described[1], described[2]);
    case "list":
      return described[1].map((item) => open(guest, item));
    default:
      return described[1];
  }
}

function isMember({ guest, type }: Target, name: string | symbol): name is string {
  return typeof name === "string" && askStruct("hasMember", guest, type, name) === true;
}

function refuse({ type }: Target, name: string | symbol): never {
  throw new TypeError(`${type.split("\n")[1]}.${String(name)} cannot be assigned: write memory with writeVa()`);
}

const HANDLER: ProxyHandler<Target> = {
  get(target, name) {
    // Promises and printing ask this of any object: it is no member.
    if (typeof name === "symbol" || (name === "then" && !isMember(target, name))) return undefined;
    const { guest, type, address } = target;
    return open(guest, askStruct("readMember", guest, type, address, name) as Described);
  },
  has: isMember,
  ownKeys: ({ guest, type }) => askStruct("listMembers", guest, type) as string[],
  getOwnPropertyDescriptor: (target, name) =>
    isMember(target, name) ? { enumerable: true, configurable: true } : undefined,
  set: refuse,
  defineProperty: refuse,
  setPrototypeOf: () => false,
  preventExtensions: () => false,
};

/** Makes a struct whose members are read when they are asked for. */
export function createStruct(guest: number, type: string, address: bigint): GuestStruct {
  const target = new Target(guest, type, address);
  const struct = new ProxyClass(target, HANDLER);
  targets.set(struct, target);
  return struct as unknown as GuestStruct;
}

/** Finds out what a struct is: its type and address; undefined for anything else. */
export function findTarget(value: unknown): Target | undefined {
  return typeof value === "object" && value !== null ? targets.get(value) : undefined;
}

/** Gets the address of a struct, or the address itself. */
export function addressOf(value: unknown): bigint {
  if (typeof value === "bigint") return value;
  const target = findTarget(value);
  if (target === undefined) throw new TypeError("this is no struct of the guest: guest.struct() gives one");
  return target.address;
}

/** Shows a struct as a whole. */
export function describeStruct({ guest, type, address }: Target): string {
  return `${String(askStruct("describeKind", guest, type))} at 0x${address.toString(16)}`;
}

/** Walks a list or tree; the error that rebox met at its end is thrown there. */
export function* walkEntries(
  question: "walkList" | "walkTree",
  guest: number,
  head: unknown,
  name: string,
  member: string,
): IterableIterator<GuestStruct> {
  const answer = askStruct(question, guest, addressOf(head), name, member);
  const [found, failure] = answer as [bigint[], [string, string, Record<string, unknown>]?];
  for (const address of found) yield createStruct(guest, `\n${name}`, address);
  if (failure !== undefined) throw createError(...failure);
}
