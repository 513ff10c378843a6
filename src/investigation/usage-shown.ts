/** Ends the reading of parameters without a run: help was asked for, or the person gave up. The message is what is shown. */
export class UsageShown extends Error {
  override readonly name = "UsageShown";
}
