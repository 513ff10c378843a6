import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { JsonValue } from "../commands/render-json";
import type { ControlAnswer, ControlRequest } from "./control-server";
import type { LineAnswer } from "./line-runner";
import type { LineTarget } from "./line-shell";

const GONE = "the engine has ended the connection";

/** A shell on the engine of another process. */
export class ControlClient implements LineTarget {
  prompt = "rebox> ";
  isOver = false;
  onNotice: LineTarget["onNotice"];
  readonly #waiting = new Map<number, (answer: LineAnswer) => void>();
  #nextId = 1;

  private constructor(private readonly socket: Socket) {
    createInterface({ input: socket }).on("line", (text) => this.#receive(text));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.isOver = true;
      for (const settle of this.#waiting.values()) settle({ error: GONE });
      this.#waiting.clear();
    });
  }

  /**
   * Connects to the socket that `rebox run --control PATH` has made.
   *
   * @throws Error of the system when nobody listens there
   */
  static connect(path: string): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new ControlClient(socket));
      });
    });
  }

  run(line: string): Promise<LineAnswer> {
    return this.#ask({ line });
  }

  interrupt(): Promise<LineAnswer> {
    return this.#ask({ interrupt: true });
  }

  close(): void {
    this.socket.destroy();
  }

  #ask(request: ControlRequest): Promise<LineAnswer> {
    if (this.isOver) return Promise.resolve({ error: GONE });
    return new Promise((resolve) => {
      const id = this.#nextId++;
      this.#waiting.set(id, resolve);
      this.socket.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  #receive(text: string): void {
    const received = JSON.parse(text) as ControlAnswer | { readonly notice: string; readonly data: JsonValue };
    if ("notice" in received) return this.onNotice?.({ text: received.notice, data: received.data });
    const { id = 0, prompt, isOver, ...answer } = received;
    this.prompt = prompt;
    this.isOver = isOver;
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}
