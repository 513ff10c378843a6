import type { SymbolTable } from "./symbol-table";
import type { TypeSource } from "./type-source";

/** What a file says about a kernel that says too little about itself: its types and symbols. */
export interface Profile {
  /** For messages: the file's name. */
  readonly origin: string;
  /** The kernel's build id in hexadecimal; undefined when the file does not say it. */
  readonly buildId: string | undefined;
  /** What /proc/version prints; undefined when the file does not say it. */
  readonly banner: string | undefined;
  readonly types: TypeSource;
  /** At the addresses that the kernel was linked for: KASLR moves all but those of per-CPU data. */
  readonly symbols: SymbolTable;
}
