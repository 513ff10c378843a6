import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { readLines } from "../../config/line-reader";
import { NetworkGoneError } from "../errors";
import type { NamespaceMessage, NamespaceOrder } from "./namespace-messages";
import { getProgramPath } from "./network-host";

const PROGRAM = join(getProjectFolder(), "build/js/src/lab/network/namespace-main.js");

/** The process that has the namespaces of a simulated network; it ends when this process does, and the network with it. */
export class NamespaceHolder {
  /** Settles when the machine's device is there. */
  readonly up: Promise<void>;
  /** Settles when all servers answer. */
  readonly ready: Promise<void>;
  /** Settles when it has ended, with what is known about why. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  /**
   * Starts it.
   *
   * @param namespaces the options of unshare(1)
   * @param onMessage receives what it reports
   */
  constructor(namespaces: readonly string[], order: NamespaceOrder, onMessage: (message: NamespaceMessage) => void) {
    const log = join(order.folder, "network.log");
    const output = openSync(log, "w");
    const env = { ...process.env, PATH: getProgramPath() };
    // In a session of its own: Ctrl-C is for us, and we still need it while the machine stops.
    const child = spawn("unshare", [...namespaces, process.execPath, PROGRAM], {
      ...{ stdio: ["pipe", "pipe", output], env, detached: true },
    });
    closeSync(output);
    this.#child = child;
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (status, signal) => resolve(findLastLine(log) ?? `it ended with ${signal ?? `status ${status}`}`)); // prettier-ignore
    });
    child.stdin!.on("error", () => undefined);
    child.stdin!.write(`${JSON.stringify(order)}\n`);
    const takers: ((message: NamespaceMessage) => void)[] = [];
    readLines(child.stdout!, (line) => {
      const message = JSON.parse(line) as NamespaceMessage;
      for (const take of [...takers, onMessage]) take(message);
    });
    const until = (kind: NamespaceMessage["kind"]) =>
      new Promise<void>((resolve, reject) => {
        takers.push((message) => {
          if (message.kind === kind) resolve();
          if (message.kind === "problem") reject(new NetworkGoneError(message.text));
        });
        void this.ended.then((how) => reject(new NetworkGoneError(`the simulated network is gone: ${how}`)));
      });
    this.up = until("up");
    this.ready = until("ready");
    for (const each of [this.up, this.ready]) each.catch(() => undefined);
  }

  /** Of the process that is in the namespaces; 0 when there is none. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Has it end in its own time: its servers write their reports. */
  end(): void {
    this.#child.stdin!.end();
  }

  /** Ends it, and everything in its namespaces, at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function findLastLine(file: string): string | undefined {
  const line = readFileSync(file, "utf8").trim().split("\n").at(-1);
  return line === undefined || line === "" ? undefined : line;
}
