/** Something in a configuration file that is probably a mistake, but does not keep it from being used. */
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
