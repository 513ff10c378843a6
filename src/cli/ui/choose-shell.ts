import type { ReadStream, WriteStream } from "node:tty";
import { UsageError } from "../errors";

/** The options of a command line about the shell's form. */
export interface ShellOptions {
  readonly ui?: boolean;
  readonly plain?: boolean;
}

/** The streams of the process, if they are a terminal that can be drawn on. */
export interface WholeTerminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

/**
 * Chooses the shell's form: the terminal UI where there is a terminal for it, else plain lines.
 *
 * @param getInput gets the process' input, which Node opens then: it is not asked for where the form does not depend on it
 * @param output the process' output
 * @param hindrance why the UI cannot have the terminal, if there is a reason
 * @returns the terminal for the UI; undefined for plain lines
 * @throws UsageError when --ui is asked for and cannot be
 */
export function chooseShell(
  { ui = false, plain = false }: ShellOptions,
  getInput: () => NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  hindrance?: string,
): WholeTerminal | undefined {
  if (ui && plain) throw new UsageError("--ui and --plain exclude each other");
  if (plain || (hindrance !== undefined && !ui)) return undefined;
  const [input, screen] = [getInput() as ReadStream, output as WriteStream];
  const isTerminal = input.isTTY && screen.isTTY && ![undefined, "", "dumb"].includes(process.env.TERM);
  const obstacle = isTerminal
    ? hindrance
    : "--ui needs a terminal as standard input and output, and TERM to say which: use --shell for plain lines";
  if (obstacle === undefined) return { input, output: screen };
  if (ui) throw new UsageError(obstacle);
  return undefined;
}
