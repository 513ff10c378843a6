/**
 * Why a plugin gave no rows: "missing" there is no Volatility; "old" it is too old; "broken" it does not start; "plugin" it has no
 * such plugin, or not with these arguments; "failed" the plugin failed; "output" it wrote no JSON; "timeout"; "cancelled";
 * "guest" the guest has ended, or cannot be paused; "disk" a file could not be written.
 */
export type VolatilityFailure =
  "missing" | "old" | "broken" | "plugin" | "failed" | "output" | "timeout" | "cancelled" | "guest" | "disk";

/** A plugin of Volatility could not be run, or failed. */
export class VolatilityError extends Error {
  override readonly name = "VolatilityError";

  /**
   * @param reason for programs
   * @param message what happened, and what to do
   * @param output the last that Volatility wrote to standard error
   */
  constructor(
    readonly reason: VolatilityFailure,
    message: string,
    readonly output = "",
  ) {
    super(message);
  }
}
