import type { ScriptSession } from "./script-session";

type Kind = "bigint" | "number" | "string" | "boolean" | "text" | "any";

/**
 * Says how an argument crosses. A number is a whole one; "text" is made of any value before it crosses; "any" is any value that
 * the codec copies, and `run` checks it. With "?" it may be missing; with "...", which ends a list, there may be any number.
 */
export type Argument = Kind | `${Kind}?` | `${Kind}...`;

type ValueOf<Name> = Name extends "bigint"
  ? bigint
  : Name extends "number"
    ? number
    : Name extends "boolean"
      ? boolean
      : Name extends "string" | "text"
        ? string
        : unknown;

type Values<List extends readonly unknown[]> = List extends readonly [infer First, ...infer Rest]
  ? First extends `${infer Name}...`
    ? ValueOf<Name>[]
    : First extends `${infer Name}?`
      ? [ValueOf<Name> | undefined, ...Values<Rest>]
      : [ValueOf<First>, ...Values<Rest>]
  : [];

/** The permissions that operations ask for, with the words of the refusal. */
export type Permission = "net" | "childProcess" | "monitor" | "modules" | "volatility";

/** The rules of an operation, besides its arguments. */
export interface OperationRules {
  /** It returns a promise: what it throws rejects it, also what is wrong with the arguments. */
  readonly isAsync?: boolean;
  /** It is read as a property. */
  readonly isGetter?: boolean;
  /**
   * Says how its result crosses: as a copy by default; "frozen" when the contents of the copy are not for changing;
   * "iterator" over such a list; "object" when describeObject() describes it, alone, in a list, or undefined.
   */
  readonly result?: "copy" | "frozen" | "iterator" | "object";
  readonly permission?: Permission;
  /** The name by which it is refused; its own by default. */
  readonly refusedAs?: string;
}

interface Parameter {
  readonly kind: Kind;
  readonly isOptional: boolean;
  readonly isRest: boolean;
}

/** One operation that rebox carries out for a script in the sandbox. */
export interface Operation {
  readonly parameters: readonly Parameter[];
  /** The number of parameters that say which object it is about. */
  readonly keyLength: number;
  readonly rules: OperationRules;
  run(session: ScriptSession, ...args: unknown[]): unknown;
}

/** Operations by name: "findPa" is of "rebox", "fs.existsSync" of a module of Node's, "Guest.clock" of a class. */
export type Operations = Readonly<Record<string, Operation>>;

/**
 * Declares an operation. Arguments and result are copies; the sandbox's side follows from this.
 *
 * @param list how its arguments cross
 * @param run carries it out, with arguments of these types
 */
export function operation<const List extends readonly Argument[]>(
  list: List,
  run: (session: ScriptSession, ...args: Values<List>) => unknown,
  rules: OperationRules = {},
): Operation {
  return { parameters: list.map(parse), keyLength: 0, rules, run: run as Operation["run"] };
}

/**
 * Declares an operation on an object.
 *
 * @param key how the object's key crosses
 */
export function member<const Key extends readonly Argument[], const List extends readonly Argument[]>(
  key: Key,
  list: List,
  run: (session: ScriptSession, ...args: Values<[...Key, ...List]>) => unknown,
  rules: OperationRules = {},
): Operation {
  return { ...operation([...key, ...list], run as never, rules), keyLength: key.length };
}

/** Declares a property of an object, which is read each time it is asked for. */
export function getter<const Key extends readonly Argument[]>(
  key: Key,
  run: (session: ScriptSession, ...key: Values<Key>) => unknown,
  rules: OperationRules = {},
): Operation {
  return member(key, [], run as never, { ...rules, isGetter: true });
}

function parse(argument: Argument): Parameter {
  const kind = argument.replace(/(\?|\.\.\.)$/, "") as Kind;
  return { kind, isOptional: argument.endsWith("?"), isRest: argument.endsWith("...") };
}

/** An object of rebox's as it crosses: the sandbox makes one of its own class, which asks rebox. */
export interface DescribedObject {
  readonly class: string;
  /** Identifies it: the first arguments of its operations. */
  readonly key: readonly unknown[];
  /** Its plain members; those that are objects are described too. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Describes an object whose members are operations called "class.member". */
export function describeObject(name: string, key: readonly unknown[], facts: object = {}): DescribedObject {
  return { class: name, key, facts: facts as Readonly<Record<string, unknown>> };
}

/**
 * Carries out an operation.
 *
 * @param name for errors
 * @param args as the sandbox sent them
 * @throws TypeError or RangeError that names the argument that is wrong; Error that says how to permit it; all that
 *   `run` throws
 */
export function perform(session: ScriptSession, operation: Operation, name: string, args: readonly unknown[]): unknown {
  const { parameters, rules } = operation;
  const isVariadic = parameters.at(-1)?.isRest === true;
  const count = isVariadic ? Math.max(parameters.length - 1, args.length) : parameters.length;
  for (let index = 0; index < count; index++) {
    check(operation, name, index, args[index]);
  }
  if (rules.permission !== undefined) session.demand(rules.permission, rules.refusedAs ?? `${name}()`);
  return operation.run(session, ...(args.length > count ? args.slice(0, count) : args));
}

function check({ parameters, keyLength }: Operation, name: string, index: number, value: unknown): void {
  const { kind, isOptional } = (parameters[index] ?? parameters.at(-1)) as Parameter;
  if (kind === "any" || (isOptional && value === undefined)) return;
  const wanted = kind === "text" ? "string" : kind;
  const position = index + 1 - keyLength;
  const called = name.slice(name.lastIndexOf(".") + 1);
  if (typeof value !== wanted) {
    throw new TypeError(`argument ${position} of ${called}() is a ${typeof value}; it must be a ${wanted}`);
  }
  if (kind === "number" && !Number.isSafeInteger(value)) {
    throw new RangeError(`argument ${position} of ${called}() is ${String(value)}; it must be a whole number`);
  }
}
