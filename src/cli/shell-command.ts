import type { Doors } from "../scripts/loading/doors";
import { Command } from "commander";
import type { ImageShellOptions } from "./image-shell";

/**
 * Creates the command `rebox shell`.
 *
 * @param getInput gets the stream of lines, when the command line has none: Node opens it then
 * @param getApi gets the names that !EXPRESSION can use
 * @param onStatus receives the exit status: 1 when a line that was given failed
 */
export function createShellCommand(
  getInput: () => NodeJS.ReadableStream,
  stdout: NodeJS.WritableStream,
  stderr: NodeJS.WritableStream,
  getApi: () => Doors,
  onStatus: (status: number) => void,
): Command {
  return new Command("shell")
    .summary("open a shell on a memory image")
    .description(
      "Opens a shell on a memory image, or carries out the given lines there: an ELF core (of rebox, QEMU or kdump), a LiME image or raw memory, each also compressed by zstd. For a guest that runs: rebox attach.",
    )
    .argument("[lines...]", 'lines of the shell, each one argument: "ps" "dq kernel!init_task:4"')
    .requiredOption("--image <file>", "the memory image")
    .option("--profile <file>", "a profile for a kernel that does not describe itself")
    .option("--json", "answer each line by one line of JSON")
    .helpOption("-h, --help", "show this help")
    .action(async (lines: string[], options: ImageShellOptions) => {
      const { runImageShell } = await import("./image-shell.js");
      onStatus(await runImageShell(lines, options, { getInput, stdout, stderr, api: getApi() }));
    });
}
