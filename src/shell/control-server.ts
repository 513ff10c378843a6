import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { CommandResult } from "../commands/command-result";
import { CommandSession } from "../commands/command-session";
import { renderJson } from "../commands/render-json";
import { renderText } from "../commands/render-text";
import { type LineAnswer, LineRunner } from "./line-runner";

/** Longer requests end their connection, in bytes. */
const LONGEST_REQUEST = 1 << 20;
/** Only the owner may connect. */
const SOCKET_UMASK = 0o177;

/** A request of `rebox attach`, one line of JSON. */
export interface ControlRequest {
  /** Comes back with the answer: an interrupt overtakes the lines before it. */
  readonly id?: number;
  readonly line?: string;
  /** Ctrl-C: pauses the guest at once. */
  readonly interrupt?: true;
}

/** The answer to each request, one line of JSON. */
export type ControlAnswer = LineAnswer & { readonly id?: number; readonly prompt: string; readonly isOver: boolean };

/** Lets other programs of the same user open shells on this engine, through a unix socket. Each has a session of its own. */
export class ControlServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly path: string,
    private readonly api: object,
  ) {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /**
   * Listens; the socket's mode is 0600.
   *
   * @param path of the socket, which must be free
   * @param api what !EXPRESSION has at hand
   * @throws Error of the system when it cannot be made there
   */
  static async listen(path: string, api: object): Promise<ControlServer> {
    const control = new ControlServer(path, api);
    const server = control.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.once("listening", resolve);
      // The socket is made within this call: there is no moment in which others may connect.
      const before = process.umask(SOCKET_UMASK);
      try {
        server.listen(path);
      } finally {
        process.umask(before);
      }
    });
    return control;
  }

  /** Ends all connections and removes the socket. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.end();
    rmSync(this.path, { force: true });
  }

  #serve(socket: Socket): void {
    const session = new CommandSession(this.api);
    const runner = new LineRunner(session);
    session.onNotice = ({ text, data }) => {
      const notice: CommandResult = { kind: "data", text, data };
      if (socket.writable)
        socket.write(`${JSON.stringify({ notice: renderText(notice), data: renderJson(notice) })}\n`);
    };
    let pending = 0;
    this.#sockets.add(socket);
    // The other side may go at any time.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      session.close();
    });
    socket.on("data", (bytes: Buffer) => {
      const at = bytes.lastIndexOf(10);
      pending = at < 0 ? pending + bytes.length : bytes.length - at - 1;
      if (pending > LONGEST_REQUEST) socket.destroy();
    });
    createInterface({ input: socket }).on("line", (text) => {
      const request = parse(text);
      void answer(request, runner).then((result) => {
        const { prompt, wantsEnd: isOver } = session;
        if (socket.writable) socket.write(`${JSON.stringify({ id: request?.id, ...result, prompt, isOver })}\n`);
        if (session.wantsEnd) socket.end();
      });
    });
  }
}

function answer(request: ControlRequest | undefined, runner: LineRunner): Promise<LineAnswer> {
  if (request?.interrupt === true) return runner.interrupt();
  if (typeof request?.line === "string") return runner.run(request.line);
  return Promise.resolve({ error: 'a request is one line of JSON: {"line": "ps"} or {"interrupt": true}' });
}

function parse(text: string): ControlRequest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
