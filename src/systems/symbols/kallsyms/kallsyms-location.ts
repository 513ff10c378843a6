/**
 * The encodings of addresses in the table of addresses. A kernel's encoding depends on its version, its configuration and
 * its width (scripts/kallsyms.c): "percpu" counts down from the base and has absolute values that are not negative
 * (CONFIG_KALLSYMS_ABSOLUTE_PERCPU, until 6.14), "base" counts up from the base, "entry" counts from the entry itself
 * (2026), the others are the address.
 */
export type KallsymsAddressing = "percpu" | "base" | "entry" | "absolute32" | "absolute64";

/** The places of kallsyms' parts, in bytes from the start of the kernel image. */
export interface KallsymsLocation {
  readonly symbolCount: number;
  readonly names: number;
  readonly markers: number;
  readonly tokenTable: number;
  readonly tokenIndex: number;
  readonly addresses: number;
  readonly addressing: KallsymsAddressing;
  /** The place of the base; meaningless for an encoding without one. */
  readonly base: number;
}
