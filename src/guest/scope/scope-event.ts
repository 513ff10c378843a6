/** Who caused a process: the target of an analysis, or a process of the system that acts for it now. */
export type ScopeOrigin = "target" | "adopted";

/** The end of a process, as wait(2) reports it: one of the two. */
export interface ProcessEnd {
  /** The argument of exit(2). */
  readonly status?: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
}

/** A change of the scope of an analysis. */
export type ScopeEvent =
  /** The target is about to execute its first instruction. */
  | { readonly what: "began"; readonly pid: number; readonly name: string; readonly path: string }
  /** The kernel has refused to execute it: errno of include/uapi/asm-generic/errno-base.h, without it when it was not seen. */
  | { readonly what: "refused"; readonly errno?: number }
  /** A process of the system is in the scope from now on. */
  | { readonly what: "adopted"; readonly pid: number; readonly name: string; readonly by: number; readonly act: string }
  /** The last task in the scope has ended; the end is that of the target's first process. */
  | ({ readonly what: "ended"; readonly processes: number } & ProcessEnd)
  /** What the scope's last acts caused has happened: the guest has come to rest since the end, or does not. */
  | { readonly what: "settled" }
  /** Something could not be read out of the kernel: the scope may have a gap. */
  | { readonly what: "problem"; readonly text: string };
