/** The steps of finding a Linux kernel, in order. */
export type AttachStep = "cpu" | "image" | "page-tables" | "symbols" | "banner" | "types" | "processes";

/** What an AttachError says, as plain data. */
export interface AttachRefusal {
  readonly step: AttachStep;
  readonly evidence: string;
  readonly advice: string;
  readonly isEarly: boolean;
}

/**
 * No Linux kernel was found. `step` says how far it came, `evidence` on what it failed, `advice` what to try.
 *
 * `isEarly` tells that nothing speaks against Linux: the guest has not come far enough, and a later attempt may succeed.
 */
export class AttachError extends Error implements AttachRefusal {
  override readonly name = "AttachError";

  constructor(
    readonly step: AttachStep,
    readonly evidence: string,
    readonly advice: string,
    readonly isEarly = false,
  ) {
    super(`${isEarly ? "no kernel yet" : `no Linux kernel found (${step})`}: ${evidence}; ${advice}`);
  }
}
