import { getSignalStatus } from "../exit-status";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toPlainText } from "../../config/terminal-text";
import { ControlClient } from "../../shell/line/control-client";
import { watchProcess } from "../process-events";
import type { WholeTerminal } from "../ui/choose-shell";
import { getUiStatus, openUi } from "../ui/open-ui";

/** The hidden option of `rebox run` that tells the process behind the UI its role. */
const BEHIND_UI = "--behind-ui";

/** The command line of `rebox run`. */
export interface RunRequest {
  /** rebox's own arguments, `run` first. */
  readonly args: readonly string[];
  /** The words behind "--"; undefined when there is no "--". */
  readonly qemuArgs: readonly string[] | undefined;
  /** The path of --control, if it was given. */
  readonly control: string | undefined;
}

/**
 * Runs a guest in a process of its own and shows it on the terminal. When the user leaves by `quit`, the guest continues and
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

/** The length of the output that is kept until the terminal is there again, in UTF-16 units. */
const LONGEST_PAST = 8000;

interface Piece {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/**
 * `rebox run` in a process of its own, without a terminal: its output and QEMU's cannot reach the screen, and when it fails, the
 * process with the terminal can still restore it.
 */
export class EngineProcess {
  /** Settles with the exit status. */
  readonly ended: Promise<number>;
  readonly #child: ChildProcess;
  #past: Piece[] = [];
  #onPiece: ((piece: Piece) => void) | undefined;

  /** @param args of rebox */
  constructor(
    args: readonly string[],
    private readonly socket: string,
  ) {
    // Of a session of its own: the terminal's signals come to this process, which passes them on.
    this.#child = spawn(process.execPath, [...process.execArgv, process.argv[1] as string, ...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: true,
    });
    for (const stream of ["stdout", "stderr"] as const) {
      this.#child[stream]?.setEncoding("utf8").on("data", (text: string) => this.#receive({ stream, text }));
    }
    this.ended = once(this.#child, "close").then(([status, signal]) => {
      return (status as number | null) ?? getSignalStatus(signal as NodeJS.Signals);
    });
  }

  /** Waits for the control socket. @returns undefined when the process has ended before */
  async connect(): Promise<ControlClient | undefined> {
    // Not by trying: another engine may listen there, which this one will say.
    const isThere = await Promise.race([once(this.#child, "message"), this.ended.then(() => undefined)]);
    if (!isThere) return undefined;
    return ControlClient.connect(this.socket).catch(() => undefined);
  }

  /** Passes on the output, first the kept part of the past. */
  onOutput(listener: (piece: Piece) => void): void {
    for (const piece of this.#past) listener(piece);
    this.#onPiece = listener;
  }

  /** Sends a signal; harmless when it has ended. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #receive(piece: Piece): void {
    this.#past.push(piece);
    let length = this.#past.reduce((sum, { text }) => sum + text.length, 0);
    while (length > LONGEST_PAST && this.#past.length > 1) length -= this.#past.shift()?.text.length ?? 0;
    this.#onPiece?.(piece);
  }
}
