/** Thrown by an auxiliary module that has nothing to do in an analysis. It is not an error: the module is left out. */
export class AuxiliaryDisabled extends Error {
  override readonly name = "AuxiliaryDisabled";

  /**
   * @param reason why, for the analysis' record
   */
  constructor(reason = "nothing to do for this analysis") {
    super(reason);
  }
}
