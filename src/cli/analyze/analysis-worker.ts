import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { getAnalysisFolder, getProcessMark } from "../../lab/analysis/analysis-places";
import { MARK } from "../../lab/analysis/marked-processes";
import { SERVED, type WorkerMessage, type WorkerOrder } from "./worker-messages";

const MAIN = join(getProjectFolder(), "build/js/src/cli/analyze/analysis-worker-main.js");
/** The end of what it said, in characters. */
const SHOWN = 2000;

/** The process of an analysis. */
export class AnalysisWorker {
  /** Settles when the process has ended: with how, as text. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #output: string;

  /**
   * Starts it. Its own session keeps Ctrl-C from it: it gets a message to cancel, and has the time to clean up.
   *
   * @param served the analysis comes from a server's queue, and goes on when the server is gone
   */
  constructor(labFolder: string, id: number, onMessage: (message: WorkerMessage) => void, served = false) {
    const folder = getAnalysisFolder(labFolder, id);
    mkdirSync(folder, { recursive: true });
    this.#output = join(folder, "output.log");
    const output = openSync(this.#output, "w", 0o600);
    try {
      this.#child = spawn(
        process.execPath,
        [...process.execArgv, MAIN, labFolder, String(id), ...(served ? [SERVED] : [])],
        {
          ...{ detached: true, stdio: ["ignore", output, output, "ipc"] },
          env: { ...process.env, [MARK]: getProcessMark(labFolder, id) },
        },
      );
    } finally {
      closeSync(output);
    }
    this.#child.on("message", onMessage);
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(`cannot be started: ${error.message}`));
      this.#child.once("exit", (status, signal) => {
        const said = this.#takeOutput();
        resolve(
          signal === null ? `ended with status ${status}${said === "" ? "" : `: ${said}`}` : `was killed (${signal})`,
        );
      });
    });
  }

  cancel(reason: string): void {
    const order: WorkerOrder = { cancel: reason };
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }

  /** Returns the end of what it has said; an empty file is not kept. */
  #takeOutput(): string {
    try {
      if (statSync(this.#output).size === 0) rmSync(this.#output);
      else return readFileSync(this.#output, "utf8").trim().slice(-SHOWN);
    } catch {
      // Nothing was said then.
    }
    return "";
  }
}
