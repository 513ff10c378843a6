import type { RegisterName } from "../../../machine/state/cpu";
import { isFloatType, type ParameterType, sizeOfType } from "./value-types";

/**
 * The way in which a function is given its parameters: "sysv64" the System V ABI for AMD64, "cdecl32" that for i386, and
 * "regparm32" that of a kernel of 32 bits (-mregparm=3, arch/x86/Makefile).
 */
export type CallingConvention = "sysv64" | "cdecl32" | "regparm32";

/** The place where a parameter lies when the function begins. */
export type ParameterPlace =
  | { readonly kind: "register"; readonly name: RegisterName }
  | { readonly kind: "vector"; readonly name: RegisterName }
  /** From the stack pointer at the function's first instruction, in bytes. */
  | { readonly kind: "stack"; readonly offset: number; readonly size: number };

const WIDE: readonly RegisterName[] = ["RDI", "RSI", "RDX", "RCX", "R8", "R9"];
const NARROW: readonly RegisterName[] = ["EAX", "EDX", "ECX"];
const VECTORS = 8;

/** The number of parameters of a function of which nothing is known. */
export const UNKNOWN_PARAMETERS = 6;

/** The width of addresses in functions that are called in this way. */
export function bitsOf(convention: CallingConvention): 32 | 64 {
  return convention === "sysv64" ? 64 : 32;
}

/**
 * Finds out where the parameters lie. Structures by value, long double and vectors have rules of their own, which are not known here.
 *
 * @param types of all parameters, in their order
 */
export function placeParameters(types: readonly ParameterType[], convention: CallingConvention): ParameterPlace[] {
  const bits = bitsOf(convention);
  const word = bits / 8;
  const registers = convention === "sysv64" ? WIDE : convention === "regparm32" ? NARROW : [];
  let whole = 0;
  let vector = 0;
  // The return address lies first.
  let offset = word;
  return types.map((type): ParameterPlace => {
    const size = sizeOfType(type, bits);
    if (convention === "sysv64" && isFloatType(type)) {
      if (vector < VECTORS) return { kind: "vector", name: `XMM${vector++}` as RegisterName };
    } else if (size <= word && whole < registers.length) {
      return { kind: "register", name: registers[whole++] as RegisterName };
    }
    const place = { kind: "stack", offset, size } as const;
    offset += Math.max(word, Math.ceil(size / word) * word);
    return place;
  });
}
