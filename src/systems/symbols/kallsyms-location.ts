/**
 * How an entry of the address table says an address. Which one a kernel has depends on its version, its configuration and
 * its width (scripts/kallsyms.c): "percpu" counts down from the base and has absolute values that are not negative
 * (CONFIG_KALLSYMS_ABSOLUTE_PERCPU, until 6.14), "base" counts up from the base, "entry" counts from the entry itself
 * (2026), the others are the address.
 */
export type KallsymsAddressing = "percpu" | "base" | "entry" | "absolute32" | "absolute64";

/** Where the parts of kallsyms lie, in bytes from the start of the kernel image. */
export interface KallsymsLocation {
  readonly symbolCount: number;
  readonly names: number;
  readonly markers: number;
  readonly tokenTable: number;
  readonly tokenIndex: number;
  readonly addresses: number;
  readonly addressing: KallsymsAddressing;
  /** Where the base lies; meaningless without one. */
  readonly base: number;
}
