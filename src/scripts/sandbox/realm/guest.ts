import { addressOf, askStruct, createStruct, findTarget, type GuestStruct, walkEntries } from "./fast/structs";
import { ask } from "./messages";
import { defineClass, Remote } from "./remote";

interface ProcessFacts {
  readonly pid: number;
}

interface ModuleFacts {
  readonly memory: readonly { readonly base: bigint; readonly size: number }[];
}

/** A kernel that was replaced by another one this many times ago is forgotten. */
const MOST_GUESTS = 8;
const guests = new Map<number, System>();
/** Gets the number of a system, which scripts do not see. */
let getId: (system: System) => number;

/** A system that a guest runs, as outside of the sandbox: src/systems/guest-system.ts says what its functions do. */
class System extends Remote {
  static {
    getId = (system) => system.#id;
  }

  readonly #id: number;

  constructor(key: readonly unknown[], facts: Readonly<Record<string, unknown>>) {
    super(key, facts);
    const [id] = key as [number];
    this.#id = id;
    const known = guests.get(id);
    // The same guest is the same object each time.
    if (known !== undefined) return known;
    guests.set(id, this);
    const [oldest] = guests.keys();
    if (guests.size > MOST_GUESTS && oldest !== undefined) guests.delete(oldest);
  }

  struct(name: string, address: bigint, types?: { readonly module: string }): GuestStruct {
    const type = `${types?.module ?? ""}\n${name}`;
    askStruct("checkType", this.#id, type);
    return createStruct(this.#id, type, addressOf(address));
  }

  getModuleTypes(module: string): object {
    askStruct("checkModule", this.#id, module);
    return Object.freeze({ module });
  }

  addressOf(struct: unknown): bigint {
    if (findTarget(struct) === undefined) throw new TypeError("this is no struct of the guest");
    return addressOf(struct);
  }
}

/** A Linux: src/systems/linux/linux-guest.ts says what its functions do. */
class Guest extends System {
  *list(head: unknown, name: string, member: string): IterableIterator<GuestStruct> {
    yield* walkEntries("walkList", getId(this), head, name, member);
  }

  *tree(root: unknown, name: string, member: string): IterableIterator<GuestStruct> {
    yield* walkEntries("walkTree", getId(this), root, name, member);
  }

  pathOf(file: unknown): string {
    return ask("guest.pathOf", getId(this), addressOf(file)) as string;
  }

  getSocketOwners(processes?: readonly ProcessFacts[]): Map<bigint, readonly ProcessFacts[]> {
    const list = processes ?? (this as unknown as { getProcessList(): ProcessFacts[] }).getProcessList();
    const byPid = new Map(list.map((process) => [process.pid, process]));
    const found = ask("guest.listSocketOwners", getId(this), [...byPid.keys()]) as [bigint, number[]][];
    return new Map(found.map(([socket, pids]) => [socket, pids.flatMap((pid) => byPid.get(pid) ?? [])]));
  }
}

/** A module of an address space; its function may be taken out of it, as outside of the sandbox. */
class GuestModule extends Remote {
  readonly contains: (address: bigint) => boolean;

  constructor(key: readonly unknown[], facts: Readonly<Record<string, unknown>>) {
    super(key, facts);
    const { memory } = facts as unknown as ModuleFacts;
    this.contains = (address) => memory.some(({ base, size }) => address >= base && address < base + BigInt(size));
  }
}

/** Puts the classes that have more than operations in their places. */
export function defineGuestClasses(): void {
  defineClass("Guest", Guest);
  defineClass("WindowsGuest", System);
  defineClass("GuestModule", GuestModule);
}
