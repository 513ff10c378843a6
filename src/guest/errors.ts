import { ReboxError } from "../config/rebox-error";

/** Reports that a disk, a file system or a file of the guest cannot be read. */
export class DiskError extends ReboxError {
  override readonly code = "REBOX_DISK";
}

/**
 * The reason why a plugin gave no rows: "missing" there is no Volatility; "old" it is too old; "broken" it does not start;
 * "plugin" it has no such plugin, or not with these arguments; "failed" the plugin failed; "output" it wrote no JSON;
 * "timeout"; "cancelled"; "guest" the guest has ended, or cannot be paused; "disk" a file could not be written.
 */
export type VolatilityFailure =
  "missing" | "old" | "broken" | "plugin" | "failed" | "output" | "timeout" | "cancelled" | "guest" | "disk";

/** Reports that a plugin of Volatility could not be run, or failed. */
export class VolatilityError extends ReboxError {
  override readonly code = "REBOX_VOLATILITY";

  /**
   * Makes an error of one plugin, or of Volatility itself.
   *
   * @param reason the kind of failure, for programs
   * @param message what happened, and what to do
   * @param output the end of what Volatility wrote to standard error
   */
  constructor(
    readonly reason: VolatilityFailure,
    message: string,
    readonly output = "",
  ) {
    super(message);
  }
}

/**
 * Reports that a function of the guest cannot be hooked as it was asked for, or that a call of it is used at a moment at which that
 * is not possible.
 */
export class HookError extends ReboxError {
  override readonly code = "REBOX_HOOK";
}
