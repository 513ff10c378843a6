import type { Socket } from "node:net";
import { connectSocket } from "./socket-client";

interface QmpMessage {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** A program that drives QEMU by QMP on a unix socket. */
export class QmpClient {
  #text = "";
  #lastId = 0;
  readonly #waiting = new Map<number, (message: QmpMessage) => void>();

  private constructor(private readonly socket: Socket) {
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (this.#text + text).split("\r\n");
      this.#text = lines.pop()!;
      for (const line of lines) this.#take(JSON.parse(line) as QmpMessage);
    });
    socket.on("close", () => {
      for (const id of this.#waiting.keys()) this.#take({ id, error: { desc: "QMP's connection was closed" } });
    });
  }

  /** Connects to a QMP socket, which may not be there yet, and takes its greeting. */
  static async connect(path: string): Promise<QmpClient> {
    const client = new QmpClient(await connectSocket(path));
    await client.execute("qmp_capabilities");
    return client;
  }

  #take(message: QmpMessage): void {
    if (message.id === undefined) return;
    this.#waiting.get(message.id)?.(message);
    this.#waiting.delete(message.id);
  }

  /**
   * Executes a command.
   *
   * @throws Error with QMP's description
   */
  async execute(command: string, args: object = {}): Promise<unknown> {
    const id = ++this.#lastId;
    this.socket.write(JSON.stringify({ execute: command, arguments: args, id }));
    const message = await new Promise<QmpMessage>((resolve) => this.#waiting.set(id, resolve));
    if (message.error !== undefined) throw new Error(message.error.desc);
    return message.return;
  }

  close(): void {
    this.socket.destroy();
  }
}
