import { resolve } from "node:path";
import { Command, Option } from "commander";
import { IMAGE_FORMATS } from "../systems/memory/images/image-layout";
import { connectControl } from "./connect-control";
import { ExitStatus } from "./exit-status";

interface Options {
  readonly format: string;
  readonly zstd?: boolean;
  readonly force?: boolean;
  readonly live?: boolean;
  readonly json?: boolean;
}

/**
 * Creates the command `rebox dump`.
 *
 * @param onStatus receives the exit status: 1 when there is no image
 */
export function createDumpCommand(
  stdout: NodeJS.WritableStream,
  stderr: NodeJS.WritableStream,
  onStatus: (status: number) => void,
): Command {
  return new Command("dump")
    .summary("write the memory of a guest that runs into a file")
    .description(
      "Writes the memory of the guest of rebox run --control SOCKET into a file. The guest stands still meanwhile, and goes on as before. Ctrl-C stops it: no file is left.",
    )
    .argument("<socket>", "the path that was given to --control")
    .argument("<file>", "which must not be there yet")
    .addOption(new Option("--format <format>", "elf has the registers too").choices(IMAGE_FORMATS).default("elf"))
    .option("--zstd", "compress the file")
    .option("--force", "replace a file that is there")
    .option("--live", "let the guest run meanwhile: the image is not of one moment")
    .option("--json", "answer by one line of JSON")
    .helpOption("-h, --help", "show this help")
    .action(async (socket: string, file: string, options: Options) => {
      const client = await connectControl(socket);
      client.onNotice = ({ text }) => stderr.write(`rebox: ${text}\n`);
      try {
        const flags = (["zstd", "force", "live"] as const).filter((name) => options[name] === true);
        const words = [quote(resolve(file)), "--format", options.format, ...flags.map((name) => `--${name}`)];
        const answer = await client.run(`dump_memory ${words.join(" ")}`);
        if (options.json === true) {
          const { error } = answer;
          stdout.write(`${JSON.stringify(error === undefined ? { data: answer.data } : { error })}\n`);
        } else if (answer.error === undefined) {
          stdout.write(`${answer.text}\n`);
        } else {
          stderr.write(`rebox: ${answer.error}\n`);
        }
        if (answer.error !== undefined) onStatus(ExitStatus.failure);
      } finally {
        client.close();
      }
    });
}

/** Quotes a path for a line of the shell: it may hold blanks, and quotes of one kind. */
function quote(path: string): string {
  return path.includes('"') ? `'${path}'` : `"${path}"`;
}
