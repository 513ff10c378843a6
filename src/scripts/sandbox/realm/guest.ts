import { deepFreeze } from "./deep-freeze";
import { createProcess, type ProcessFacts } from "./guest-process";
import { addressOf, askGuest, createStruct, findTarget, type GuestStruct, openEntries } from "./guest-struct";
import { ask } from "./messages";

interface GuestFacts {
  readonly id: number;
  readonly banner: string;
  readonly release: string;
  readonly bits: number;
}

interface ModuleFacts {
  readonly memory: readonly { readonly base: bigint; readonly size: number }[];
}

const guests = new Map<number, Guest>();
const MOST_GUESTS = 8;

/** The guest's system, as outside of the sandbox: src/systems/linux/linux-guest.ts says what its functions do. */
class Guest {
  readonly #id: number;
  readonly kernel: object;
  readonly tasks: object;
  readonly symbols: object;

  constructor({ id, ...facts }: GuestFacts) {
    this.#id = id;
    this.kernel = createKernel(id, facts);
    this.tasks = Object.freeze({
      read: (kaddr: bigint) => deepFreeze(askGuest(id, "task", kaddr)),
      list: () => (deepFreeze(askGuest(id, "tasks")) as unknown[])[Symbol.iterator](),
    });
    this.symbols = Object.freeze({
      getModules: getModuleList,
      findAddress: (pgd: bigint, module: string, name: string) => ask("api.symToVa", pgd, module, name),
      findSymbol: (pgd: bigint, address: bigint) => ask("api.vaToSym", pgd, address),
      search: (pgd: bigint, pattern: string) => getSymbolList(pgd, pattern)[Symbol.iterator](),
    });
  }

  get clock(): unknown {
    return deepFreeze(askGuest(this.#id, "clock"));
  }

  getProcessList(): object[] {
    return getProcessList();
  }

  findProcess(pgd: bigint): object | undefined {
    const facts = askGuest(this.#id, "findProcess", pgd) as ProcessFacts | undefined;
    return facts && createProcess(this.#id, facts);
  }

  getKernelModules(): unknown {
    return freezeEntries(askGuest(this.#id, "kernelModules"));
  }

  getKernelLog(): unknown {
    return freezeEntries(askGuest(this.#id, "kernelLog"));
  }

  getSockets(): unknown {
    return freezeEntries(askGuest(this.#id, "sockets"));
  }

  struct(name: string, address: bigint, types?: { readonly module: string }): GuestStruct {
    const type = `${types?.module ?? ""}\n${name}`;
    askGuest(this.#id, "checkType", type);
    return createStruct(this.#id, type, addressOf(address));
  }

  getModuleTypes(module: string): object {
    askGuest(this.#id, "hasModuleTypes", module);
    return Object.freeze({ module });
  }

  *list(head: unknown, name: string, member: string): IterableIterator<GuestStruct> {
    yield* openEntries(this.#id, name, askGuest(this.#id, "list", addressOf(head), name, member));
  }

  *tree(root: unknown, name: string, member: string): IterableIterator<GuestStruct> {
    yield* openEntries(this.#id, name, askGuest(this.#id, "tree", addressOf(root), name, member));
  }

  addressOf(struct: unknown): bigint {
    if (findTarget(struct) === undefined) throw new TypeError("this is no struct of the guest");
    return addressOf(struct);
  }
}

function createKernel(id: number, facts: object): object {
  return Object.freeze({
    ...(deepFreeze(facts) as object),
    symbol: (...names: string[]) => askGuest(id, "symbol", names.join("\n")),
    findSymbol(...names: string[]) {
      return names.map((name) => askGuest(id, "findSymbol", name)).find((address) => address !== undefined);
    },
    offset: (struct: string, ...paths: string[]) => askGuest(id, "offset", struct, paths.join("\n")),
    sizeOf: (struct: string) => askGuest(id, "sizeOf", struct),
    memory: createMemory(id, 0n),
    space: (pgd: bigint) => createMemory(id, pgd),
  });
}

/** What src/systems/memory/virtual-memory.ts is outside; what is read is a copy. */
function createMemory(id: number, pgd: bigint): object {
  const calls = ["read", "readSome", "view", "u8", "u16", "u32", "u64", "pointer", "text", "translate"];
  return Object.freeze(
    Object.fromEntries(
      calls.map((call) => [call, (address: bigint, size?: number) => askGuest(id, "memory", pgd, call, address, size)]),
    ),
  );
}

/** The list is the script's own, to sort and to change; what is in it is not. */
function freezeEntries(list: unknown): unknown[] {
  (list as unknown[]).forEach(deepFreeze);
  return list as unknown[];
}

function open(facts: GuestFacts): Guest {
  let guest = guests.get(facts.id);
  if (guest === undefined) {
    guests.set(facts.id, (guest = new Guest(facts)));
    guests.delete(facts.id - MOST_GUESTS);
  }
  return guest;
}

export function getGuest(): Guest {
  return open(ask("guest.get") as GuestFacts);
}

export function findGuest(): Guest | undefined {
  const facts = ask("guest.find") as GuestFacts | undefined;
  return facts && open(facts);
}

export async function waitForGuest(timeoutMs?: number): Promise<Guest> {
  return open((await ask("guest.wait", timeoutMs)) as GuestFacts);
}

export function getProcessList(): object[] {
  const [id, list] = ask("guest.processes") as [number, ProcessFacts[]];
  return list.map((facts) => createProcess(id, facts));
}

export function getModuleList(pgd: bigint): object[] {
  return (ask("guest.modules", pgd) as ModuleFacts[]).map((module) => {
    const contains = (address: bigint): boolean =>
      module.memory.some(({ base, size }) => address >= base && address < base + BigInt(size));
    return deepFreeze({ ...module, contains }) as object;
  });
}

export function getSymbolList(pgd: bigint, pattern?: string): object[] {
  return freezeEntries(ask("guest.symbols", pgd, pattern)) as object[];
}
