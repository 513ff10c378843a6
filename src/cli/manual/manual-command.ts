import { Command } from "commander";
import { makeManualPage } from "./manual-page";

/**
 * Creates the command `rebox manual`.
 *
 * @param stdout receives the page
 * @param version of rebox
 * @param createProgram creates `rebox` with the commands that a command line is about: all of them for none
 */
export function createManualCommand(
  stdout: NodeJS.WritableStream,
  version: string,
  createProgram: (words: readonly string[]) => Command,
): Command {
  return new Command("manual")
    .summary("print the manual page, rebox(1)")
    .description("Prints the manual page, of the same texts as the help.")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", "\nExample: rebox manual | man -l -")
    .action(() => void stdout.write(makeManualPage(createProgram([]), version)));
}
