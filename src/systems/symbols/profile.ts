import type { SymbolTable } from "./symbol-table";
import type { TypeSource } from "./type-source";

/** Symbols and types of a kernel from outside of the guest: for kernels that do not have them in memory. */
export interface KernelProfile {
  /** For messages: the profile's file. */
  readonly origin: string;
  readonly types: TypeSource;
  /** With the addresses of the kernel's file, before KASLR moved it; `_text` or `_stext` is among them. */
  readonly symbols: SymbolTable;
}

/** The facts that a profile is chosen by. */
export interface KernelIdentity {
  /** The kernel's own words: "Linux version 6.1.0 ..."; empty when they were not found. */
  readonly banner: string;
  /**
   * The build ids in the kernel's memory, as hexadecimal text. There are several: the kernel's own, and those of the small
   * libraries that it gives to processes (vdso).
   */
  readonly buildIds: readonly string[];
}

/** A kernel's profile, with what the file says about which kernel it is for. */
export interface Profile extends KernelProfile {
  /** The kernel's build id in hexadecimal; undefined when the file does not say it. */
  readonly buildId: string | undefined;
  /** The text that /proc/version prints; undefined when the file does not say it. */
  readonly banner: string | undefined;
}
