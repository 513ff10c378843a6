import type { RegisterName } from "../../../machine/state/cpu";
import { bitsOf } from "../values/calling-convention";
import type { HookBody } from "../hooked-function";
import { isReadAtEnd, type RecordedFunction } from "./recorded-call";
import { isFloatType, isSignedType, sizeOfType } from "../values/value-types";

/** The size of a description without its parameters, and of each of those. */
const HEAD = 56;
const PARAMETER = 8;
/** By their numbers in qemu_glue.h (register_num_t). */
const REGISTERS: readonly RegisterName[] = [
  ...["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"],
  ...["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"],
] as RegisterName[];
const CONVENTIONS = ["sysv64", "cdecl32", "regparm32"] as const;
const PLACES = ["register", "vector", "stack"] as const;
const BY_RESULT = 255;

/** A function with the number that its records have. */
export interface NumberedFunction extends RecordedFunction {
  readonly id: number;
}

/** Describes functions for the trigger that records their calls; triggers/recorded_function.h has the layout. */
export function describeFunctions(
  functions: readonly NumberedFunction[],
  numberOf: (hook: HookBody) => number,
): Uint8Array {
  const sizes = functions.map(({ called }) => HEAD + PARAMETER * called.parameters.length);
  const view = new DataView(new ArrayBuffer(sizes.reduce((sum, size) => sum + size, 0)));
  let at = 0;
  functions.forEach((one, index) => {
    writeHead(view, at, one, numberOf(one.called.hook));
    one.called.parameters.forEach((_, parameter) =>
      writeParameter(view, at + HEAD + PARAMETER * parameter, one, parameter),
    );
    at += sizes[index]!;
  });
  return new Uint8Array(view.buffer);
}

function writeHead(view: DataView, at: number, { id, called, space }: NumberedFunction, number: number): void {
  const { hook, convention, parameters, returns } = called;
  const bits = bitsOf(convention);
  view.setUint32(at, id, true);
  const flags = (hook.fromOutside ? 1 : 0) | (space === 0n ? 2 : 0);
  const result = isFloatType(returns) ? 1 : returns === "text" ? 2 : 0;
  const facts = [flags, CONVENTIONS.indexOf(convention), parameters.length, result, sizeOfType(returns, bits)];
  [...facts, isSignedType(returns) ? 1 : 0].forEach((fact, index) => view.setUint8(at + 4 + index, fact));
  [hook.maxTextBytes, hook.maxBytes, number].forEach((fact, index) => view.setUint16(at + 10 + 2 * index, fact, true));
  [space, called.address, called.from, called.to, BigInt(bits / 8)].forEach((fact, index) =>
    view.setBigUint64(at + 16 + 8 * index, fact, true),
  );
}

function writeParameter(view: DataView, at: number, { called }: RecordedFunction, index: number): void {
  const { convention, parameters, places, filled } = called;
  const type = parameters[index]!;
  const place = places[index]!;
  const pointee = type === "text" ? 1 : typeof type === "object" ? 2 : 0;
  const counter = typeof type === "object" ? (type.bytes === "result" ? BY_RESULT : type.bytes) : 0;
  const flags = (isSignedType(type) ? 1 : 0) | (isReadAtEnd(type, filled.includes(index)) ? 2 : 0);
  const number = place.kind === "stack" ? 0 : findRegister(place.name);
  const size = sizeOfType(type, bitsOf(convention));
  [PLACES.indexOf(place.kind), number, size, flags, pointee, counter].forEach((fact, byte) =>
    view.setUint8(at + byte, fact),
  );
  view.setUint16(at + 6, place.kind === "stack" ? place.offset : 0, true);
}

function findRegister(name: RegisterName): number {
  const vector = /^XMM(\d+)$/.exec(name);
  return vector ? Number(vector[1]) : REGISTERS.indexOf(name.replace(/^E/, "R") as RegisterName);
}
