import type { OperationDescription } from "../raw-host";
import { ask } from "./messages";

type Function = (...args: unknown[]) => unknown;

/** An object of rebox's as it crosses: operation.ts says what its members are. */
interface Described {
  readonly class: string;
  readonly key: readonly unknown[];
  readonly facts: Readonly<Record<string, unknown>>;
}

/**
 * An object of rebox's as a script in the sandbox has it. It holds copies of plain members; its other members ask rebox, with
 * the key that the object is known by there. They are made of the operations called "class.member".
 */
export class Remote {
  readonly #key: readonly unknown[];

  constructor(key: readonly unknown[], facts: Readonly<Record<string, unknown>> = {}) {
    this.#key = key;
    Object.assign(this, facts);
  }

  static keyOf(remote: Remote): readonly unknown[] {
    return remote.#key;
  }
}

type RemoteClass = new (key: readonly unknown[], facts: Readonly<Record<string, unknown>>) => Remote;

const classes = new Map<string, RemoteClass>();

/** Makes a script's value of a result; OperationRules explains the words. */
const OPENERS: Readonly<Record<OperationDescription["result"], Function>> = {
  copy: (value) => value,
  frozen: freezeEntries,
  iterator: (list) => (freezeEntries(list) as unknown[])[Symbol.iterator](),
  object: openObject,
};

/** Has the objects of a class be of one that has members of its own besides. */
export function defineClass(name: string, made: RemoteClass): void {
  classes.set(name, made);
}

/** Gets the class of objects that rebox describes under a name. */
export function getClass(name: string): RemoteClass {
  let found = classes.get(name);
  // The key in the literal gives the class its name.
  if (found === undefined) classes.set(name, (found = { [name]: class extends Remote {} }[name] as RemoteClass));
  return found;
}

/** Gives the classes their members. */
export function defineMembers(operations: readonly OperationDescription[]): void {
  for (const operation of operations) {
    const [owner, member = ""] = operation.name.split(".") as [string, string?];
    if (!/^[A-Z]/.test(owner) || member === "") continue;
    const call = createCall(operation);
    const method = function (this: Remote, ...args: unknown[]): unknown {
      return call(Remote.keyOf(this), args);
    };
    const descriptor = operation.isGetter ? { get: method } : { value: method, writable: true };
    Object.defineProperty(getClass(owner).prototype, member, { ...descriptor, configurable: true });
  }
}

/**
 * Creates the functions of a module, such as "fs", or of "rebox" itself.
 *
 * @param prefix the beginning of the operations' names, up to and with the dot; empty for names without one
 */
export function createFunctions(operations: readonly OperationDescription[], prefix: string): Record<string, Function> {
  const own = operations.filter(({ name }) => (prefix === "" ? !name.includes(".") : name.startsWith(prefix)));
  return Object.fromEntries(
    own.map((operation) => {
      const call = createCall(operation);
      return [operation.name.slice(prefix.length), (...args: unknown[]) => call([], args)];
    }),
  );
}

function createCall({ name, most, texts, isAsync, result }: OperationDescription) {
  const open = OPENERS[result];
  const send = (key: readonly unknown[], args: unknown[]) => {
    if (most !== null && args.length > most) args.length = most;
    for (const index of texts) if (args[index] !== undefined) args[index] = String(args[index]);
    return ask(name, ...key, ...args);
  };
  if (isAsync) return async (key: readonly unknown[], args: unknown[]) => open(await send(key, args));
  return (key: readonly unknown[], args: unknown[]) => open(send(key, args));
}

/** Makes the objects that rebox has described: one, a list of them, or none. */
function openObject(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(openObject);
  if (!isDescribed(value)) return value;
  const { class: name, key, facts } = value;
  const opened = Object.entries(facts).map(([member, fact]) => [
    member,
    isDescribed(fact) ? openObject(fact) : deepFreeze(fact),
  ]);
  return Object.freeze(new (getClass(name))(key, Object.fromEntries(opened) as Record<string, unknown>));
}

function isDescribed(value: unknown): value is Described {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "class");
}

/** Freezes a copy of plain data, with all that is in it. Bytes and dates stay as they are: they cannot be frozen. */
export function deepFreeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || value instanceof Date) return value;
  if (Object.isFrozen(value)) return value;
  Object.freeze(value);
  Object.values(value).forEach(deepFreeze);
  return value;
}

/** A list is the script's own, to sort and to change; what is in it is not. */
function freezeEntries(value: unknown): unknown {
  if (!Array.isArray(value)) return deepFreeze(value);
  value.forEach(deepFreeze);
  return value;
}
