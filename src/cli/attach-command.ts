import { Command } from "commander";
import { connectControl } from "./connect-control";
import { ExitStatus } from "./exit-status";
import { chooseShell, type ShellOptions } from "./ui/choose-shell";

interface AttachOptions extends ShellOptions {
  readonly json?: boolean;
}

/**
 * Creates the command `rebox attach`.
 *
 * @param getInput gets the stream of lines, when the command line has none: Node opens it then
 * @param onStatus receives the exit status: 1 when a line that was given failed
 */
export function createAttachCommand(
  getInput: () => NodeJS.ReadableStream,
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
    .option("--ui", "the terminal UI: the default at a terminal, without lines")
    .option("--plain", "plain lines, also at a terminal")
    .helpOption("-h, --help", "show this help")
    .action(async (socket: string, lines: string[], { json = false, ...form }: AttachOptions) => {
      const hindrance = json || lines.length > 0 ? "--ui shows no lines that are given, and no JSON" : undefined;
      const terminal = chooseShell(form, getInput, stdout, hindrance);
      const client = await connectControl(socket);
      try {
        if (terminal) {
          const { getUiStatus, openUi } = await import("./ui/open-ui.js");
          return onStatus(getUiStatus(await openUi(client, terminal, { showsOutput: true }), stderr));
        }
        const { runLineShell, showAnswer } = await import("../shell/line/line-shell.js");
        if (lines.length === 0) return await runLineShell(client, { input: getInput(), output: stdout, json });
        let heldBefore = 0;
        for (const line of lines) {
          heldBefore = client.holds;
          const answer = await client.run(line);
          if (answer.error === undefined || json) stdout.write(showAnswer(answer, json));
          else stderr.write(showAnswer(answer, false));
          if (answer.error !== undefined) return onStatus(ExitStatus.failure);
        }
        if (client.holds > heldBefore) {
          const shell = `rebox attach ${socket}`;
          stderr.write(
            `rebox: what "${lines.at(-1)}" has set in the guest ends now, with this command; to keep it, give the line in a shell: ${shell}\n`,
          );
        }
      } finally {
        client.close();
      }
    });
}
