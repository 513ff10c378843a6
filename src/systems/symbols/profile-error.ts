/** A profile cannot be read, is damaged, or is for something else. */
export class ProfileError extends Error {
  override readonly name = "ProfileError";

  /**
   * @param path the profile's file
   * @param problem what is wrong, and what to do
   */
  constructor(
    readonly path: string,
    problem: string,
  ) {
    super(`${path}: ${problem}`);
  }
}
