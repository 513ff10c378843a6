import type { ConfigPlace } from "./config-node";

/** A value that a setting does not accept: what is wrong with it and what would be accepted. */
export class SettingError extends Error {
  override readonly name = "SettingError";

  /**
   * Creates an error.
   *
   * @param problem goes behind the setting's name: "is 70000; it must be a whole number from 1 to 65535"
   * @param place where it stands; undefined for the setting's own place
   */
  constructor(
    readonly problem: string,
    readonly place?: ConfigPlace,
  ) {
    super(problem);
  }
}
