import type { Socket } from "node:net";
import { connectSocket } from "./socket-client";

const PROMPT = "(qemu) ";

/** A person at QEMU's monitor on a unix socket. */
export class HmpClient {
  #text = "";
  #changed: () => void = () => undefined;

  private constructor(private readonly socket: Socket) {
    socket.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text;
      this.#changed();
    });
    socket.on("close", () => this.#changed());
  }

  /** Connects to a monitor, which may not be there yet, and waits for its prompt. */
  static async connect(path: string): Promise<HmpClient> {
    const client = new HmpClient(await connectSocket(path));
    await client.#until(() => client.#text.endsWith(PROMPT));
    return client;
  }

  async #until(isThere: () => boolean): Promise<void> {
    while (!isThere()) {
      if (this.socket.closed) throw new Error(`the monitor is gone; it said ${JSON.stringify(this.#text)}`);
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  /** Gives a command and returns what is printed until the next prompt, without the echo. */
  async command(line: string): Promise<string> {
    this.#text = "";
    this.socket.write(`${line}\n`);
    // The echo is one line; a terminal's control sequences are in it.
    await this.#until(() => /\r\n([^]*\r\n)?\(qemu\) $/.test(this.#text));
    const answer = this.#text.slice(this.#text.indexOf("\r\n") + 2, -PROMPT.length);
    return answer.replaceAll("\r\n", "\n");
  }

  /** Gives a command again and again until its answer is what is waited for. */
  async until(line: string, isWanted: (answer: string) => boolean): Promise<void> {
    while (!isWanted(await this.command(line))) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Types text, a tabulator at its end, and returns the line as it looks then; what it had to choose from stands above. */
  async complete(text: string): Promise<string> {
    this.#text = "";
    this.socket.write(`${text}\t`);
    const typed = [...text].length;
    let last = "";
    // Nothing marks the end of a completion: it is over when the line has changed no more for a while.
    while (last !== this.#text || last.length <= typed) {
      last = this.#text;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    // Deletes the line, for the next command.
    this.socket.write("\u0005\u0015");
    // eslint-disable-next-line no-control-regex -- a terminal's sequences are made of control characters
    const shown = last.split(/\u001b\[K|\r\n/).map((part) => part.replace(/(\u001b\[D)+/g, ""));
    return shown.filter((part) => part !== "").at(-1)!;
  }

  /** Gives a command that is not answered. */
  send(line: string): void {
    this.socket.write(`${line}\n`);
  }

  close(): void {
    this.socket.destroy();
  }
}
