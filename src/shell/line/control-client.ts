import { connect, type Socket } from "node:net";
import { readLines } from "../../config/line-reader";
import type { Moment } from "../../config/moment";
import type { LineCompletion } from "../commands/complete-line";
import type { JsonValue } from "../commands/rendering/render";
import type { ControlAnswer, ControlRequest } from "./control-server";
import type { LineAnswer } from "./line-runner";
import type { RunEvent } from "./run-feed";
import type { SessionTarget } from "./session-target";

const GONE = "the engine has ended the connection";

/** A notice as a line of JSON. */
interface ReceivedNotice {
  readonly notice: string;
  readonly data: JsonValue;
  readonly moment?: Moment;
  /** The number of those that were left out before it. */
  readonly lost?: number;
}

/** A shell on the engine of another process. */
export class ControlClient implements SessionTarget {
  prompt = "rebox> ";
  isOver = false;
  /** The number of things, such as breakpoints, that this shell has set in the guest, and that go with it. */
  holds = 0;
  readonly isGuestGone = false;
  /** The number of notices that were left out because they came faster than they were read. */
  lost = 0;
  onNotice: SessionTarget["onNotice"];
  onEvent: SessionTarget["onEvent"];
  /** Settles when the connection has ended. */
  readonly ended: Promise<void>;
  readonly #waiting = new Map<number, (answer: object) => void>();
  #nextId = 1;

  private constructor(private readonly socket: Socket) {
    readLines(socket, (text) => this.#receive(text));
    socket.on("error", () => socket.destroy());
    this.ended = new Promise((resolve) => {
      socket.on("close", () => {
        this.isOver = true;
        for (const settle of this.#waiting.values()) settle({ error: GONE });
        this.#waiting.clear();
        resolve();
      });
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
    return this.#ask({ line }) as Promise<LineAnswer>;
  }

  interrupt(): Promise<LineAnswer> {
    return this.#ask({ interrupt: true }) as Promise<LineAnswer>;
  }

  async look(lines: readonly string[]): Promise<readonly LineAnswer[]> {
    const { answers } = (await this.#ask({ look: lines })) as { answers?: readonly LineAnswer[] };
    return answers ?? lines.map(() => ({ error: GONE }));
  }

  async complete(line: string): Promise<LineCompletion> {
    const { word = "", words = [] } = (await this.#ask({ complete: line })) as Partial<LineCompletion>;
    return { word, words };
  }

  watch(): void {
    void this.#ask({ watch: true });
  }

  sendToConsole(text: string): void {
    void this.#ask({ type: text });
  }

  close(): void {
    this.socket.destroy();
  }

  #ask(request: ControlRequest): Promise<object> {
    if (this.isOver) return Promise.resolve({ error: GONE });
    return new Promise((resolve) => {
      const id = this.#nextId++;
      this.#waiting.set(id, resolve);
      this.socket.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  #receive(text: string): void {
    const received = JSON.parse(text) as ControlAnswer | RunEvent | ReceivedNotice;
    if ("notice" in received) {
      this.lost += received.lost ?? 0;
      return this.onNotice?.({ text: received.notice, data: received.data, moment: received.moment });
    }
    if ("event" in received) return this.onEvent?.(received);
    const { id = 0, prompt, isOver, holds = 0, ...answer } = received;
    this.prompt = prompt;
    this.holds = holds;
    this.isOver = isOver;
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}
