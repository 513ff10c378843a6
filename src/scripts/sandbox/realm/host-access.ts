// The only code of the sandbox that touches rebox's own functions and objects. What holds here, and must:
//
// - No object of rebox's realm is ever passed to, returned to or thrown into other code: only primitives, and objects
//   made here. An error of rebox's realm is not even looked at.
// - While such an object is at hand nothing is called that a script could have exchanged: no method of a prototype, no
//   iteration, no spreading. What is needed of those was bound before any script ran.
import type { RawHost } from "../raw-host";

const bind = Function.prototype.call.bind(Function.prototype.bind) as (f: unknown, ...rest: unknown[]) => unknown;
const uncurry = (method: unknown) => bind(Function.prototype.call, method);

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const tagOf = uncurry(Object.getOwnPropertyDescriptor(typedArray, Symbol.toStringTag)?.get) as (x: unknown) => unknown;
const setBytes = uncurry((typedArray as Uint8Array).set) as (into: ArrayBufferView, from: ArrayLike<number>) => void;
const Bytes = Uint8Array;
const HostError = Error;

let host: RawHost;

/** Takes rebox's functions; once, before any script. */
export function connect(raw: RawHost): void {
  host = raw;
}

function refuse(): never {
  throw new HostError("rebox could not do this: out of stack or memory");
}

/**
 * Asks rebox for something.
 *
 * @param message text of message-codec.ts
 * @returns such text
 */
export function callHost(operation: string, message: string): string {
  if (typeof operation !== "string" || typeof message !== "string") return refuse();
  let answer: unknown;
  try {
    answer = host.call(operation, message);
  } catch {
    return refuse();
  }
  return typeof answer === "string" ? answer : refuse();
}

/** Registers a callback or stream; listener is called by the engine itself. */
export function register(message: string, listener: (...args: never[]) => unknown): string {
  if (typeof message !== "string" || typeof listener !== "function") return refuse();
  let answer: unknown;
  try {
    answer = host.register(message, listener);
  } catch {
    return refuse();
  }
  return typeof answer === "string" ? answer : refuse();
}

type Access = "readPhysical" | "writePhysical";
type VirtualAccess = "readVirtual" | "writeVirtual";

/** Reads or writes physical memory. Returns the engine's result, a number. */
export function accessPhysical(access: Access, address: bigint, bytes: Uint8Array): number {
  if (typeof address !== "bigint") throw new TypeError("an address is a bigint, such as 0x1000n");
  if (tagOf(bytes) !== "Uint8Array") throw new TypeError("what is written are bytes: a Uint8Array or a Buffer");
  let result: unknown;
  try {
    result = access === "readPhysical" ? host.readPhysical(address, bytes) : host.writePhysical(address, bytes);
  } catch {
    return refuse();
  }
  return typeof result === "number" ? result : refuse();
}

/** Reads or writes memory of an address space. Returns the engine's result, a number. */
export function accessVirtual(access: VirtualAccess, pgd: bigint, address: bigint, bytes: Uint8Array): number {
  if (typeof pgd !== "bigint" || typeof address !== "bigint") {
    throw new TypeError("pgd and address are bigint, such as 0x1000n");
  }
  if (tagOf(bytes) !== "Uint8Array") throw new TypeError("what is written are bytes: a Uint8Array or a Buffer");
  let result: unknown;
  try {
    const isRead = access === "readVirtual";
    result = isRead ? host.readVirtual(pgd, address, bytes) : host.writeVirtual(pgd, address, bytes);
  } catch {
    return refuse();
  }
  return typeof result === "number" ? result : refuse();
}

/** The address at which the last access failed. */
export function lastFault(): bigint {
  let result: unknown;
  try {
    result = host.lastFault();
  } catch {
    return refuse();
  }
  return typeof result === "bigint" ? result : refuse();
}

let scratch = new Bytes(1 << 16);

/** Copies the bytes of a trigger's variable; undefined where the same question as a message says what there is. */
export function readTriggerBytes(manager: number, callbackName: string, variable: string): Uint8Array | undefined {
  if (typeof manager !== "number" || typeof callbackName !== "string" || typeof variable !== "string") return undefined;
  for (;;) {
    let size: unknown;
    try {
      size = host.copyTriggerBytes(manager, callbackName, variable, scratch);
    } catch {
      return undefined;
    }
    if (typeof size !== "number" || size < 0) return undefined;
    if (size <= scratch.length) return scratch.slice(0, size);
    scratch = new Bytes(size);
  }
}

type ViewMethod = `get${"Int" | "Uint"}${8 | 16 | 32}` | `getBig${"Int" | "Uint"}64` | `getFloat${32 | 64}`;

/** Reads one value of a view of RAM. Returns undefined when the offset is outside of it. */
export type ViewReader = (method: ViewMethod, offset: number, isLittleEndian: boolean) => number | bigint | undefined;

/** Views RAM; undefined where there is none. */
export function createViewReader(address: bigint, size: number): ViewReader | undefined {
  if (typeof address !== "bigint" || typeof size !== "number") throw new TypeError("a bigint address and a size");
  let view: DataView | undefined;
  try {
    view = host.viewPhysical(address, size);
  } catch {
    return refuse();
  }
  if (view === undefined) return undefined;
  const found = view;
  return (method, offset, isLittleEndian) => {
    if (typeof offset !== "number") return undefined;
    let value: unknown;
    try {
      value = found[method](offset, isLittleEndian);
    } catch {
      return undefined;
    }
    return typeof value === "number" || typeof value === "bigint" ? value : undefined;
  };
}

/** Creates what reads one 64-bit word, or half of one, of a vCPU's state. */
export function createStateReader(cpuIndex: number): (word: number) => bigint {
  let words: BigUint64Array | undefined;
  try {
    words = host.words(cpuIndex);
  } catch {
    return refuse();
  }
  const found = words;
  return (word) => (found === undefined || typeof word !== "number" ? 0n : (found[word] ?? 0n));
}

/** Reads a register that is computed. */
export function readComputedRegister(cpuIndex: number, id: number): bigint {
  let value: unknown;
  try {
    value = host.readRegister(cpuIndex, id);
  } catch {
    return refuse();
  }
  return typeof value === "bigint" ? value : 0n;
}

/** Reads the address space that a vCPU runs in: a plain call, since callbacks ask for it at every event. */
export function readRunningProcess(cpuIndex: number): bigint {
  if (typeof cpuIndex !== "number") return refuse();
  let pgd: unknown;
  try {
    pgd = host.readRunningProcess(cpuIndex);
  } catch {
    return refuse();
  }
  return typeof pgd === "bigint" ? pgd : refuse();
}

/** The outcome of a plain call that rebox refuses: the same question as a message says why. */
export const REFUSED = Symbol("refused");

/** Finds the guest-physical address of a virtual one; undefined when nothing is mapped there. */
export function translate(pgd: bigint, address: bigint): bigint | undefined | typeof REFUSED {
  if (typeof pgd !== "bigint" || typeof address !== "bigint") return REFUSED;
  let physical: unknown;
  try {
    physical = host.translate(pgd, address);
  } catch {
    return REFUSED;
  }
  return typeof physical === "bigint" || physical === undefined ? physical : REFUSED;
}

/** Reports whether an address space is monitored. */
export function isMonitored(pgd: bigint): boolean | typeof REFUSED {
  if (typeof pgd !== "bigint") return REFUSED;
  let answer: unknown;
  try {
    answer = host.isMonitored(pgd);
  } catch {
    return REFUSED;
  }
  return typeof answer === "boolean" ? answer : REFUSED;
}

/** Reads how many blocks were counted. */
export function readBlockCount(): number | typeof REFUSED {
  let count: unknown;
  try {
    count = host.blockCount();
  } catch {
    return REFUSED;
  }
  return typeof count === "number" ? count : REFUSED;
}

/** Tells rebox that promises of this realm may be waiting to go on. */
export function mark(): void {
  host.flags[0] = 1;
}

/** Returns the value that the engine alone gets for a callback whose promise has not settled. */
export function holdForEngine(id: number): unknown {
  try {
    return host.hold(id);
  } catch {
    return undefined;
  }
}

/** Copies the bytes of a Buffer of rebox's. */
export function copyBytes(foreign: Uint8Array): Uint8Array {
  const copy = new Bytes(foreign.length);
  setBytes(copy, foreign);
  return copy;
}

/** Copies the first elements of a column of rebox's into one of this realm's, as long as it has room. */
export function copyColumn(into: ArrayBufferView, foreign: BigUint64Array | Uint32Array, count: number): void {
  setBytes(into, foreign.subarray(0, count) as unknown as ArrayLike<number>);
}

/** Creates a look-up of this realm's twin of an object of rebox's, made when it is first seen. */
export function createTwins<Foreign extends object, Twin extends object>(
  create: (foreign: Foreign) => Twin,
): (foreign: Foreign) => Twin {
  const twins = new WeakMap<Foreign, Twin>();
  const get = bind(twins.get, twins) as (foreign: Foreign) => Twin | undefined;
  const set = bind(twins.set, twins) as (foreign: Foreign, twin: Twin) => void;
  return (foreign) => {
    const known = get(foreign);
    if (known !== undefined) return known;
    const twin = create(foreign);
    set(foreign, twin);
    return twin;
  };
}
