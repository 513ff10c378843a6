import type { AddressSpace } from "./address-space";

/** The address spaces that have been told of, by the address of their mm_struct. A Map is one. */
export interface AddressSpaceTable {
  readonly size: number;
  get(mm: bigint): AddressSpace | undefined;
  has(mm: bigint): boolean;
  set(mm: bigint, space: AddressSpace): unknown;
  /** Returns whether there was one. */
  delete(mm: bigint): boolean;
  clear(): void;
  values(): Iterable<AddressSpace>;
}
