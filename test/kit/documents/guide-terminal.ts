import { type ChildProcess, spawn } from "node:child_process";
import { isShown, type Output } from "./guide-steps";

/** How long a reader waits for something on the screen before the test fails. */
const PATIENCE_MS = 90_000;

/** A program as somebody at a terminal sees it. */
export class GuideTerminal {
  #printed = "";
  #isOver = false;
  #wake = () => undefined as void;
  readonly #program: ChildProcess;

  constructor(command: string, args: readonly string[], cwd: string) {
    this.#program = spawn(command, args, { cwd, stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.#program.stdout!, this.#program.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#printed += text;
        this.#wake();
      });
    }
    this.#program.on("close", () => {
      this.#isOver = true;
      this.#wake();
    });
    // It may be gone already; what it printed says why.
    this.#program.stdin!.on("error", () => undefined);
  }

  /** All that it has printed. */
  get printed(): string {
    return this.#printed;
  }

  type(line: string): void {
    this.#program.stdin!.write(`${line}\n`);
  }

  /** Waits until a condition on what was printed holds. @throws Error when the program ends without it, or it takes too long */
  async until(holds: () => boolean, what: string): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!holds()) {
      const leftMs = end - performance.now();
      if (this.#isOver || leftMs <= 0) throw new Error(`there is no ${what}\nin what was printed:\n${this.#printed}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Waits until it has printed these lines, one after the other but perhaps with others in between. */
  async see(output: Output): Promise<void> {
    await this.until(() => isShown(this.#printed, output, true), output.lines.join("\n"));
  }

  /** Ends it, as Ctrl-C does, if it runs. */
  async end(): Promise<void> {
    if (!this.#isOver) this.#program.kill("SIGINT");
    await this.leave();
  }

  /** Waits until it has ended by itself, and returns its exit status. */
  async leave(): Promise<number | null> {
    await this.until(() => this.#isOver, "end of the program");
    return this.#program.exitCode;
  }
}
