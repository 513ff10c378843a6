import type { Cpu } from "../../../machine/state/cpu";
import { bitsOf, type ParameterPlace } from "./calling-convention";
import { findBytes, findText } from "./guest-values";
import type { CallContext, HookedFunction } from "../hooked-function";
import {
  decodeValue,
  encodeValue,
  type FunctionValue,
  isFloatType,
  type ParameterType,
  sizeOfType,
} from "./value-types";

const LONGEST_TEXT = 4096;
/** Bytes that a parameter points to are read up to here. */
const MOST_BYTES = 65536;

/** Reads and writes the parameters and the result of one call, where the function's calling convention has them. */
export class CallValues {
  /** The width of addresses in the function's code. */
  readonly bits: 32 | 64;

  constructor(
    private readonly context: CallContext,
    private readonly called: HookedFunction,
    private readonly pgd: bigint,
    private readonly stackPointer: bigint,
  ) {
    this.bits = bitsOf(called.convention);
  }

  /** Reads the bits of all parameters, at the function's first instruction. */
  readPlaces(cpu: Cpu): (bigint | undefined)[] {
    return this.called.places.map((place) => this.#readPlace(place, cpu));
  }

  /** Reads the bits of the result, where the function returns to; undefined for one in the registers of the FPU. */
  readResult(cpu: Cpu): bigint | undefined {
    if (isFloatType(this.called.returns)) return this.bits === 64 ? BigInt.asUintN(64, cpu.XMM0) : undefined;
    return this.bits === 64 ? cpu.RAX : (cpu.EDX << 32n) | cpu.EAX;
  }

  /**
   * Makes a value of bits; what they point to is read now.
   *
   * @param raw the bits of all parameters
   * @param cpu the vCPU, when the function returns now
   */
  decode(
    type: ParameterType,
    bits: bigint | undefined,
    raw: readonly (bigint | undefined)[],
    cpu: Cpu | undefined,
  ): FunctionValue {
    if (bits === undefined) return undefined;
    const value = decodeValue(bits, type, this.bits);
    if (typeof type === "object") return this.#readCounted(type.bytes, value as bigint, raw, cpu);
    if (type !== "text") return value;
    return value === 0n ? null : findText(this.context.access, this.pgd, value as bigint, LONGEST_TEXT);
  }

  /** Writes a parameter, at the function's first instruction. @returns false where it cannot be written @throws TypeError */
  writeParameter(cpu: Cpu, index: number, value: unknown): boolean {
    const place = this.called.places[index]!;
    const raw = encodeValue(value, this.called.parameters[index]!, this.bits);
    if (place.kind === "vector") return false;
    if (place.kind === "register") {
      (cpu as unknown as Record<string, bigint>)[place.name] = raw;
      return true;
    }
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, raw, true);
    const size = Math.max(place.size, this.bits / 8);
    this.context.access.write(this.pgd, this.stackPointer + BigInt(place.offset), bytes.subarray(0, size));
    return true;
  }

  /** Writes the result, where the function returns to. @returns false where it cannot be written @throws TypeError */
  writeResult(cpu: Cpu, value: unknown): boolean {
    const { returns } = this.called;
    const raw = encodeValue(value, returns, this.bits);
    if (isFloatType(returns)) return false;
    cpu.RAX = this.bits === 64 ? raw : raw & 0xffffffffn;
    if (this.bits === 32 && sizeOfType(returns, 32) === 8) cpu.RDX = raw >> 32n;
    return true;
  }

  #readPlace(place: ParameterPlace, cpu: Cpu): bigint | undefined {
    if (place.kind !== "stack") return BigInt.asUintN(64, cpu[place.name]);
    return this.context.words.read(this.pgd, this.stackPointer + BigInt(place.offset), place.size > 4 ? 8 : 4);
  }

  #readCounted(
    by: number | "result",
    address: bigint,
    raw: readonly (bigint | undefined)[],
    cpu: Cpu | undefined,
  ): Uint8Array | null | undefined {
    if (address === 0n) return null;
    const bits = by === "result" ? cpu && this.readResult(cpu) : raw[by];
    if (bits === undefined) return undefined;
    const count = decodeValue(bits, by === "result" ? this.called.returns : this.called.parameters[by]!, this.bits);
    if (typeof count === "boolean" || count === undefined || count < 0) return undefined;
    return findBytes(this.context.access, this.pgd, address, count > MOST_BYTES ? MOST_BYTES : Number(count));
  }
}
