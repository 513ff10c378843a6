import { EventEmitter } from "node:events";
import { connect, type Socket } from "node:net";
import { MachineryConnectionError, QmpCommandError } from "../../../errors";
import type { VmProcess } from "../../processes/vm-process";
import { withSocketPath } from "./socket-path";

/** QEMU answers at once; a busy host, and another client that is served first, take their time. */
export const ANSWER_LIMIT_MS = 15_000;

interface QmpMessage {
  readonly QMP?: object;
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly event?: string;
  readonly data?: object;
}

interface Waiting {
  readonly command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** No answer of QEMU is longer, in characters. */
const LONGEST_LINE = 16 << 20;

/** QMP over a unix socket: docs/interop/qmp-spec.rst of QEMU. Events arrive between answers. */
export class QmpClient extends EventEmitter<{ event: [name: string, data: object] }> {
  #text = "";
  #lastId = 0;
  #failure: Error | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #greet: Waiting | undefined;

  private constructor(private readonly socket: Socket) {
    super();
    socket.setEncoding("utf8").on("data", (text: string) => this.#receive(text));
    socket.on("error", (error) => this.#fail(new MachineryConnectionError(`QMP's connection broke: ${error.message}`)));
    socket.on("close", () => this.#fail(new MachineryConnectionError("QEMU has closed QMP's connection")));
  }

  /**
   * Connects, takes the greeting and leaves the negotiation.
   *
   * @param path of the socket
   * @param limitMs for all of it: QEMU serves one connection at a time, so another one may have to end first
   * @throws MachineryConnectionError when nothing listens there, or the listener does not speak QMP, or not in time
   */
  static async connect(path: string, limitMs: number, signal: AbortSignal): Promise<QmpClient> {
    signal.throwIfAborted();
    const client = new QmpClient(connect(path));
    try {
      const greeting = new Promise<void>((resolve, reject) => {
        client.#greet = { command: "its greeting", resolve: () => resolve(), reject };
      });
      await client.#bound(greeting, "greeting", limitMs, signal);
      await client.execute("qmp_capabilities", {}, limitMs, signal);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * Executes a command.
   *
   * @param limitMs how long the answer may take; the connection is of no use after that, and closed
   * @returns what QEMU answers
   * @throws QmpCommandError when it refuses; MachineryConnectionError when it does not answer
   */
  async execute(command: string, args: object, limitMs: number, signal: AbortSignal): Promise<unknown> {
    if (this.#failure) throw this.#failure;
    const id = ++this.#lastId;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { command, resolve, reject }));
    this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return this.#bound(answer, command, limitMs, signal);
  }

  /** Ends the connection; calls that still wait fail. */
  close(): void {
    this.#fail(new MachineryConnectionError("QMP's connection was closed"));
  }

  #receive(text: string): void {
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop() ?? "";
    if (this.#text.length > LONGEST_LINE) return this.#fail(new MachineryConnectionError("QMP: a line without an end"));
    for (const line of lines) {
      if (line.trim() === "") continue;
      try {
        this.#take(JSON.parse(line) as QmpMessage);
      } catch {
        return this.#fail(new MachineryConnectionError(`this is not QMP: ${JSON.stringify(line.slice(0, 80))}`));
      }
    }
  }

  #take(message: QmpMessage): void {
    if (this.#greet !== undefined) {
      const { resolve, reject } = this.#greet;
      // What QEMU could not tell the connection before, the next one gets first.
      if (message.QMP === undefined && ["return", "error", "event"].some((member) => member in message)) return;
      this.#greet = undefined;
      if (message.QMP !== undefined) return resolve(undefined);
      return reject(new MachineryConnectionError("who listens there does not greet as QMP does"));
    }
    if (message.event !== undefined) {
      this.emit("event", message.event, message.data ?? {});
      return;
    }
    // Without an id: QEMU could not parse the request; commands are sent one after the other, so it is the first.
    const id = message.id ?? this.#waiting.keys().next().value;
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || waiting === undefined) return;
    this.#waiting.delete(id);
    const { error } = message;
    if (error === undefined) waiting.resolve(message.return);
    else waiting.reject(new QmpCommandError(waiting.command, error.class, error.desc));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.socket.destroy();
    for (const waiting of [...this.#waiting.values(), this.#greet]) waiting?.reject(this.#failure);
    this.#waiting.clear();
    this.#greet = undefined;
  }

  async #bound<Value>(answer: Promise<Value>, what: string, limitMs: number, signal: AbortSignal): Promise<Value> {
    const late = () => this.#fail(new MachineryConnectionError(`QMP: no answer to ${what} within ${limitMs / 1000} s`));
    const onAbort = () => this.#fail(new MachineryConnectionError(`QMP: ${what} was cancelled`));
    const timer = setTimeout(late, limitMs);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }
}

/**
 * Holds a connection to a machine's QMP for commands that belong together: QEMU serves one at a time, and others want to be served too.
 *
 * @param connectMs the time for the connection
 */
export async function withQmp<Result>(
  vm: VmProcess,
  signal: AbortSignal,
  connectMs: number,
  use: (client: QmpClient) => Promise<Result>,
): Promise<Result> {
  const client = await withSocketPath(vm.qmpSocket, (path) => QmpClient.connect(path, connectMs, signal));
  try {
    return await use(client);
  } finally {
    client.close();
  }
}
