/** An error in a configuration file: says where it is, what is wrong and what would be accepted. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  /**
   * Creates an error that begins with its place, so that editors and terminals can jump there.
   *
   * @param file the configuration file, as the user named it
   * @param line the 1-based line; undefined when the file as a whole is the problem
   * @param problem what is wrong and what to do next
   */
  constructor(
    readonly file: string,
    readonly line: number | undefined,
    readonly problem: string,
  ) {
    super(line === undefined ? `${file}: ${problem}` : `${file}:${line}: ${problem}`);
  }
}
