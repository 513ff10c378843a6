import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toPlainText } from "../../config/terminal-text";
import { watchProcess } from "../run/process-events";
import type { WholeTerminal } from "./choose-shell";
import { EngineProcess } from "./engine-process";
import { getUiStatus, openUi } from "./open-ui";

/** The option by which the process behind the UI knows what it is. */
export const BEHIND_UI = "--behind-ui";

/** What `rebox run` was asked to do. */
export interface RunRequest {
  /** rebox's own arguments, `run` first. */
  readonly args: readonly string[];
  /** What stands behind "--"; undefined when there is no "--". */
  readonly qemuArgs: readonly string[] | undefined;
  /** The path of --control, if it was given. */
  readonly control: string | undefined;
}

/**
 * Runs a guest in a process of its own and shows it on the terminal. When the user leaves by `quit`, the guest goes on and
 * prints to the terminal, as without a shell.
 *
 * @param problems standard error
 * @returns the exit status of the run
 */
export async function runBehindUi(
  { args, qemuArgs, control }: RunRequest,
  terminal: WholeTerminal,
  problems: NodeJS.WritableStream,
): Promise<number> {
  const folder = control === undefined ? mkdtempSync(join(tmpdir(), "rebox-ui-")) : undefined;
  const socket = control ?? join(folder as string, "control");
  const separated = qemuArgs === undefined ? [] : ["--", ...qemuArgs];
  const engine = new EngineProcess([...args, BEHIND_UI, socket, ...separated], socket);
  const print = () =>
    engine.onOutput(({ stream, text }) => void (stream === "stdout" ? terminal.output : problems).write(text));
  const forward = (signal: NodeJS.Signals) => engine.kill(signal);
  const unwatch = watchProcess(process, {
    onFirstSignal: forward,
    onNextSignal: forward,
    onUncaught: (error) => {
      getUiStatus({ error }, problems);
      engine.kill("SIGTERM");
    },
    onExit: () => engine.kill("SIGKILL"),
  });
  // The terminal may be closed while it is written to; its signal tells.
  for (const stream of [terminal.output, problems]) stream.on("error", () => undefined);
  try {
    const client = await engine.connect();
    if (!client) return await engine.ended.finally(print);
    const end = await openUi(client, terminal, {
      showsOutput: false,
      onOpen: (ui) => engine.onOutput(({ text }) => ui.addOutput(text)),
    });
    client.close();
    if (end.error !== undefined) {
      print();
      engine.kill("SIGTERM");
      await engine.ended;
      return getUiStatus(end, problems);
    }
    if (end.hasLeft === true) {
      const again = control === undefined ? "" : `, rebox attach ${toPlainText(control)} shows it again`;
      problems.write(`rebox: the guest goes on: Ctrl-C ends it${again}\n`);
    }
    print();
    return await engine.ended;
  } finally {
    unwatch();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}
