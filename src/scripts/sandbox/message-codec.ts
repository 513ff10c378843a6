// Values as text, to pass between the sandbox and rebox: neither side ever holds an object of the other's. This file is
// compiled into both.
import { MessageError } from "../errors";

/** Begins the text that a callback in the sandbox throws in place of an error, whose description follows. */
export const THROWN_PREFIX = "\u0000rebox-thrown:";

type Reference = string | number | boolean | null | readonly [kind: string, value: string | number];
type Node = readonly [kind: string, value: unknown, name?: string];

/** Bytes become the characters from here on. */
const FIRST_CODE = 0x100;

const BYTES = {
  ...{ Uint8Array, Int8Array, Uint8ClampedArray, Uint16Array, Int16Array, Uint32Array, Int32Array },
  ...{ Float32Array, Float64Array, BigUint64Array, BigInt64Array },
} as const;

/**
 * Makes text of a value: primitives, plain objects, arrays, maps, sets, dates, errors, bytes; circles are kept.
 *
 * @param isStrict objects with a class of their own are refused; else they become plain objects
 * @throws MessageError for a function, a symbol, and a value that strictness refuses; it names the place in the value
 */
export function encodeMessage(value: unknown, isStrict = false): string {
  const nodes: Node[] = [];
  const seen = new Map<object, number>();
  const add = (item: unknown, path: string): Reference => {
    switch (typeof item) {
      case "string":
      case "boolean":
        return item;
      case "undefined":
        return ["u", 0];
      case "bigint":
        return ["n", item.toString()];
      case "number":
        return Number.isFinite(item) && !Object.is(item, -0) ? item : ["f", Object.is(item, -0) ? "-0" : String(item)];
      case "function":
      case "symbol":
        throw new MessageError(`${path} is a ${typeof item}, which cannot be copied`);
      default:
        return item === null ? null : addObject(item as object, path);
    }
  };
  const addObject = (item: object, path: string): Reference => {
    const known = seen.get(item);
    if (known !== undefined) return ["r", known];
    const index = nodes.length;
    seen.set(item, index);
    nodes.push(["o", []]);
    nodes[index] = describe(item, path);
    return ["r", index];
  };
  const describe = (item: object, path: string): Node => {
    if (Array.isArray(item)) return ["a", Array.from(item, (element, at) => add(element, `${path}[${at}]`))];
    if (item instanceof Map) {
      return ["m", [...item].map(([key, entry]) => [add(key, `a key of ${path}`), add(entry, `an entry of ${path}`)])];
    }
    if (item instanceof Set) return ["s", [...item].map((entry) => add(entry, `an entry of ${path}`))];
    if (item instanceof Date) return ["d", item.getTime()];
    if (item instanceof Error) return ["e", [item.name, item.message, item.stack ?? ""]];
    if (item instanceof ArrayBuffer) return ["b", toText(new Uint8Array(item)), "ArrayBuffer"];
    if (ArrayBuffer.isView(item)) return describeView(item, path);
    const prototype: unknown = Object.getPrototypeOf(item);
    if (isStrict && prototype !== null && prototype !== Object.prototype) {
      throw new MessageError(`${path} has a class of its own, which cannot be copied`);
    }
    return ["o", Object.keys(item).map((key) => [key, add((item as Record<string, unknown>)[key], `${path}.${key}`)])];
  };
  return JSON.stringify([add(value, "it"), nodes]);
}

function describeView(view: ArrayBufferView, path: string): Node {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  // A Buffer is a Uint8Array of a class of its own.
  const { name } = view.constructor;
  if (name === "Buffer" || name === "DataView" || Object.hasOwn(BYTES, name)) return ["b", toText(bytes), name];
  if (view instanceof Uint8Array) return ["b", toText(bytes), "Buffer"];
  throw new MessageError(`${path} is of a kind of bytes that cannot be copied`);
}

/**
 * Makes the value again.
 *
 * @param text text of encodeMessage()
 * @param createBuffer makes a Buffer of this realm of bytes
 */
export function decodeMessage(text: string, createBuffer: (bytes: Uint8Array) => Uint8Array): unknown {
  const [root, nodes] = JSON.parse(text) as [Reference, Node[]];
  const made = new Map<number, unknown>();
  const get = (reference: Reference): unknown => {
    if (!Array.isArray(reference)) return reference;
    const [kind, value] = reference as readonly [string, string | number];
    if (kind === "u") return undefined;
    if (kind === "n") return BigInt(value);
    if (kind === "f") return Number(value);
    return make(Number(value));
  };
  const make = (index: number): unknown => {
    if (made.has(index)) return made.get(index);
    const [kind, value, name] = nodes[index] as Node;
    const keep = <Item>(item: Item): Item => {
      made.set(index, item);
      return item;
    };
    switch (kind) {
      case "a": {
        const list: unknown[] = keep([]);
        for (const element of value as Reference[]) list.push(get(element));
        return list;
      }
      case "m": {
        const map = keep(new Map<unknown, unknown>());
        for (const [key, entry] of value as [Reference, Reference][]) map.set(get(key), get(entry));
        return map;
      }
      case "s": {
        const set = keep(new Set<unknown>());
        for (const entry of value as Reference[]) set.add(get(entry));
        return set;
      }
      case "d":
        return keep(new Date(value as number));
      case "e":
        return keep(makeError(value as [string, string, string]));
      case "b":
        return keep(makeBytes(value as string, name as string, createBuffer));
      default: {
        const object: object = keep({});
        for (const [key, entry] of value as [string, Reference][]) {
          // Not an assignment: "__proto__" is a key like any other.
          const descriptor = { value: get(entry), writable: true, enumerable: true, configurable: true };
          Object.defineProperty(object, key, descriptor);
        }
        return object;
      }
    }
  };
  return get(root);
}

function makeError([name, message, stack]: [string, string, string]): Error {
  const error = new Error(message);
  Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  Object.defineProperty(error, "stack", { value: stack, configurable: true, writable: true });
  return error;
}

function makeBytes(text: string, name: string, createBuffer: (bytes: Uint8Array) => Uint8Array): unknown {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at) & 0xff;
  if (name === "Buffer") return createBuffer(bytes);
  if (name === "ArrayBuffer") return bytes.buffer;
  if (name === "DataView") return new DataView(bytes.buffer);
  return new BYTES[name as keyof typeof BYTES](bytes.buffer);
}

/** One character for each byte: not that of its number, since JSON makes six characters of most below 32. */
function toText(bytes: Uint8Array): string {
  const codes = new Uint16Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) codes[at] = FIRST_CODE | (bytes[at] as number);
  let text = "";
  for (let at = 0; at < codes.length; at += 8192) {
    // Spread, it would be iterated, which takes ten times as long.
    text += String.fromCharCode.apply(null, codes.subarray(at, at + 8192) as unknown as number[]);
  }
  return text;
}
