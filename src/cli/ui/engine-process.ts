import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { ControlClient } from "../../shell/line/control-client";
import { getSignalStatus } from "../run/run-end";

/** What is kept of what it has printed, for when the terminal is there again, in UTF-16 units. */
const LONGEST_PAST = 8000;

interface Piece {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/**
 * `rebox run` in a process of its own, without a terminal: what it and QEMU print cannot reach the screen, and when it fails,
 * whoever has the terminal can still give it back.
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

  /** Passes on what is printed, and what has been printed before as far as it is kept. */
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
