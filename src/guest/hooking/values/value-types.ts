/** The facts of a type of C: its size in bytes, "word" for that of an address, and what becomes of its bits. */
interface TypeFacts {
  readonly size: 0 | 1 | 2 | 4 | 8 | "word";
  readonly kind: "signed" | "unsigned" | "boolean" | "float" | "text" | "nothing";
  /** Whether it is a bigint on guests of either width. */
  readonly isWide?: boolean;
}

const TYPES = {
  bool: { size: 1, kind: "boolean" },
  char: { size: 1, kind: "signed" },
  uchar: { size: 1, kind: "unsigned" },
  short: { size: 2, kind: "signed" },
  ushort: { size: 2, kind: "unsigned" },
  int: { size: 4, kind: "signed" },
  uint: { size: 4, kind: "unsigned" },
  long: { size: "word", kind: "signed", isWide: true },
  ulong: { size: "word", kind: "unsigned", isWide: true },
  longlong: { size: 8, kind: "signed", isWide: true },
  ulonglong: { size: 8, kind: "unsigned", isWide: true },
  size: { size: "word", kind: "unsigned", isWide: true },
  ssize: { size: "word", kind: "signed", isWide: true },
  pointer: { size: "word", kind: "unsigned", isWide: true },
  float: { size: 4, kind: "float" },
  double: { size: 8, kind: "float" },
  text: { size: "word", kind: "text" },
  void: { size: 0, kind: "nothing" },
} as const satisfies Record<string, TypeFacts>;

/** The name of a type that parameters and results of functions have. */
export type ValueType = keyof typeof TYPES;

/** The names of the types. */
export const VALUE_TYPES = Object.keys(TYPES) as readonly ValueType[];

/** Bytes that a parameter points to; another parameter, or the result, counts them. */
export interface BytesType {
  /** The index of the parameter that says how many there are, from 0; "result" for the value that the function returns. */
  readonly bytes: number | "result";
}

/** The type of a parameter. */
export type ParameterType = ValueType | BytesType;

/** A value of a parameter or a result; undefined where the guest's memory cannot be read, null for a text at address 0. */
export type FunctionValue = number | bigint | boolean | string | Uint8Array | null | undefined;

/** Reports whether this is the name of a type. */
export function isValueType(name: unknown): name is ValueType {
  return typeof name === "string" && Object.hasOwn(TYPES, name);
}

/** Gets the size of a type in bytes, on a guest whose addresses have these bits. */
export function sizeOfType(type: ParameterType, bits: 32 | 64): number {
  const { size } = factsOf(type);
  return size === "word" ? bits / 8 : size;
}

/** Reports whether values of a type travel in vector registers. */
export function isFloatType(type: ParameterType): boolean {
  return factsOf(type).kind === "float";
}

/** Reports whether the bits of a type have a sign. */
export function isSignedType(type: ParameterType): boolean {
  return factsOf(type).kind === "signed";
}

/** Reports whether a value is the address of what is read: a text, or bytes. */
export function isPointed(type: ParameterType): boolean {
  return type === "text" || typeof type === "object";
}

function factsOf(type: ParameterType): TypeFacts {
  return typeof type === "string" ? TYPES[type] : TYPES.pointer;
}

/**
 * Makes a value of the bits of a register or of memory. Texts and bytes are left as the address that they lie at.
 *
 * @param raw 64 bits, of which only those of the type count
 */
export function decodeValue(raw: bigint, type: ParameterType, bits: 32 | 64): number | bigint | boolean | undefined {
  const { kind, isWide } = factsOf(type);
  const width = sizeOfType(type, bits) * 8;
  if (kind === "nothing") return undefined;
  if (kind === "float") return decodeFloat(raw, width);
  if (kind === "boolean") return BigInt.asUintN(8, raw) !== 0n;
  const value = kind === "signed" ? BigInt.asIntN(width, raw) : BigInt.asUintN(width, raw);
  return isWide || kind === "text" ? value : Number(value);
}

/**
 * Reads a value out of 64 bits of memory, of which only those of the type count; the same as decodeValue(), without making a bigint of
 * what is none.
 */
export function readValue(
  view: DataView,
  at: number,
  type: ParameterType,
  bits: 32 | 64,
): number | bigint | boolean | undefined {
  const { kind, isWide } = factsOf(type);
  if (kind === "boolean") return view.getUint8(at) !== 0;
  const size = sizeOfType(type, bits);
  if (kind === "float") return size === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true);
  if (kind === "nothing") return undefined;
  const isSigned = kind === "signed";
  if (size === 8) return isSigned ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
  if (size === 4) {
    const value = isSigned ? view.getInt32(at, true) : view.getUint32(at, true);
    return isWide || kind === "text" ? BigInt(value) : value;
  }
  if (size === 2) return isSigned ? view.getInt16(at, true) : view.getUint16(at, true);
  return isSigned ? view.getInt8(at) : view.getUint8(at);
}

/**
 * Makes the bits of a value.
 *
 * @throws TypeError when the value cannot be one of the type
 */
export function encodeValue(value: unknown, type: ParameterType, bits: 32 | 64): bigint {
  const { kind } = factsOf(type);
  const width = sizeOfType(type, bits) * 8;
  if (kind === "float" && typeof value === "number") return encodeFloat(value, width);
  if (kind === "boolean" && typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "bigint") return BigInt.asUintN(width, value);
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt.asUintN(width, BigInt(value));
  const name = typeof type === "string" ? type : "pointer";
  throw new TypeError(`a ${typeof value} cannot be a value of the type ${name}: give a whole number or a bigint`);
}

const scratch = new DataView(new ArrayBuffer(8));

function decodeFloat(raw: bigint, width: number): number {
  scratch.setBigUint64(0, BigInt.asUintN(64, raw), true);
  return width === 32 ? scratch.getFloat32(0, true) : scratch.getFloat64(0, true);
}

function encodeFloat(value: number, width: number): bigint {
  scratch.setBigUint64(0, 0n, true);
  if (width === 32) scratch.setFloat32(0, value, true);
  else scratch.setFloat64(0, value, true);
  return scratch.getBigUint64(0, true);
}
