/** A probable mistake in a configuration file, which can be used nevertheless. */
export class ConfigWarning {
  /**
   * Creates a warning.
   *
   * @param file the configuration file, as the user named it
   * @param line the 1-based line
   * @param problem what is wrong and what was probably meant
   */
  constructor(
    readonly file: string,
    readonly line: number,
    readonly problem: string,
  ) {}

  /** Returns the warning as one line of text that begins with file:line. */
  toString(): string {
    return `${this.file}:${this.line}: warning: ${this.problem}`;
  }
}
