import type { NativeGuestTest } from "../engine/native";
import type { RegisterName } from "../state/cpu";
import type { GuestSet } from "./guest-set";

/** The registers that a test may begin at: QEMU keeps them whole. */
export type TestedRegister = Extract<
  RegisterName,
  | `R${"AX" | "BX" | "CX" | "DX" | "SI" | "DI" | "BP" | "SP" | 8 | 9 | 10 | 11}`
  | `${"F" | "KERNEL_G" | "G"}S_BASE`
  | "GDT_BASE"
>;

/** A value in the guest's memory, from the place that a test has led to. */
export interface TestedValue {
  /** Offsets in bytes: all but the last lead to a pointer. Without any, the value is the place's own address. */
  readonly at: readonly number[];
  /** In bytes, or the text that a pointer leads to. */
  readonly size: 4 | 8 | "text";
}

/** A way from a register through the guest's memory. */
export interface GuestPath {
  readonly from: TestedRegister;
  /** With GDT_BASE: the selector of a segment, from whose base the way goes on. */
  readonly segment?: number;
  /** From the register: each of these leads to a pointer. */
  readonly via: readonly bigint[];
}

/**
 * A test of the guest's memory that the addon makes before it calls a hook. What cannot be read does not hold. It reads in the
 * address space of the running process, with the kernel's tables where they are isolated.
 */
export interface GuestTest extends GuestPath {
  /** Where the pointer to the next place is, and how many places are looked at; without it the first alone. */
  readonly walk?: { readonly next: number; readonly most: number };
  /** One or two, which are together in the set; without any, the address of the place. */
  readonly values?: readonly TestedValue[];
  /** The set that has them, or bits of which the first has one. */
  readonly is: GuestSet | bigint;
}

/** Holds when one of its lists holds, of which each test has to. */
export type GuestCondition = readonly (readonly GuestTest[])[];

/** Makes what the addon reads. @param pointerSize of the guest's kernel, in bytes */
export function compileCondition(condition: GuestCondition, pointerSize: 4 | 8): NativeGuestTest[][] {
  return condition.map((tests) =>
    tests.map(({ walk, values = [], is, ...path }) => ({
      ...compilePath(path, pointerSize),
      next: BigInt(walk?.next ?? 0),
      most: walk?.most ?? 1,
      values: values.map(({ at, size }) => ({ offsets: toWords(at.map(BigInt)), size: size === "text" ? 0 : size })),
      ...(typeof is === "bigint" ? { bits: is } : { bits: 0n, set: is.id }),
    })),
  );
}

/** Makes what the addon reads of a way that leads to one place. */
export function compilePath({ from, segment = 0, via }: GuestPath, pointerSize: 4 | 8): NativeGuestTest {
  const offsets = toWords(via);
  return { register: from, segment, pointerSize, offsets, next: 0n, most: 1, values: [], bits: 0n };
}

function toWords(numbers: readonly bigint[]): BigUint64Array {
  return BigUint64Array.from(numbers.map((number) => BigInt.asUintN(64, number)));
}
