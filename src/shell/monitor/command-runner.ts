/** What a command of rebox's shell answers. */
export interface CommandOutput {
  /** As the shell prints it. */
  readonly text: string;
  /** The same for programs; must be plain data, where a bigint becomes text in hexadecimal. */
  readonly data?: unknown;
}

/**
 * Runs one line of rebox's shell.
 *
 * @throws whatever is wrong with the line, or went wrong in it
 */
export type RunCommandLine = (line: string) => Promise<CommandOutput>;
