import { Command } from "commander";
import { runLineShell, showAnswer } from "../../shell/line-shell";
import { ExitStatus } from "../exit-status";
import { connectControl } from "./connect-control";

/**
 * Creates the command `rebox attach`.
 *
 * @param input where the lines come from when none are given
 * @param onStatus receives the exit status: 1 when a line that was given failed
 */
export function createAttachCommand(
  input: NodeJS.ReadableStream,
  stdout: NodeJS.WritableStream,
  stderr: NodeJS.WritableStream,
  onStatus: (status: number) => void,
): Command {
  return new Command("attach")
    .summary("open a shell on a guest that runs")
    .description("Opens a shell on the guest of rebox run --control SOCKET, or carries out the given lines there.")
    .argument("<socket>", "the path that was given to --control")
    .argument("[lines...]", 'lines of the shell, each one argument: "ps" "dq rsp:4"')
    .option("--json", "answer each line by one line of JSON")
    .helpOption("-h, --help", "show this help")
    .action(async (socket: string, lines: string[], { json = false }: { json?: boolean }) => {
      const client = await connectControl(socket);
      try {
        if (lines.length === 0) return await runLineShell(client, { input, output: stdout, json });
        for (const line of lines) {
          const answer = await client.run(line);
          if (answer.error === undefined || json) stdout.write(showAnswer(answer, json));
          else stderr.write(showAnswer(answer, false));
          if (answer.error !== undefined) return onStatus(ExitStatus.failure);
        }
      } finally {
        client.close();
      }
    });
}
