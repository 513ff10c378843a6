import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { readLines } from "../../config/line-reader";
import { CommandSession } from "../commands/command-session";
import type { LineCompletion } from "../commands/complete-line";
import type { LineAnswer } from "./line-runner";
import type { RunFeed } from "./run-feed";
import { ShellHold } from "./shell-hold";
import { createLocalTarget, type SessionTarget } from "./session-target";
import type { Doors } from "../../scripts/loading/doors";

/** Longer requests end their connection, in bytes. */
const LONGEST_REQUEST = 1 << 20;
/** The largest backlog before text is left out, in bytes. */
const LARGEST_BACKLOG = 1 << 20;
/** Only the owner may connect. */
const SOCKET_UMASK = 0o177;

/** A request of `rebox attach`, one line of JSON. */
export interface ControlRequest {
  /** Comes back with the answer: an interrupt overtakes the lines before it. */
  readonly id?: number;
  readonly line?: string;
  /** Ctrl-C: pauses the guest at once. */
  readonly interrupt?: true;
  /** Lines that only look at the guest: they overtake those that wait, and see one and the same moment. */
  readonly look?: readonly string[];
  /** A line whose last word is to be completed. */
  readonly complete?: string;
  /** Text that is typed at the guest's serial console. */
  readonly type?: string;
  /** Asks for a RunEvent in a line of JSON whenever something happens. */
  readonly watch?: true;
}

/** The answer to each request, one line of JSON. `holds` counts what the shell has set in the guest, which goes with it. */
export type ControlAnswer = Reply & {
  readonly id?: number;
  readonly prompt: string;
  readonly isOver: boolean;
  readonly holds?: number;
};
/** To look the answers of its lines, to complete what the word may become. */
type Reply = LineAnswer | { readonly answers: readonly LineAnswer[] } | LineCompletion;

/** Lets other programs of the same user open shells on this engine, through a unix socket. Each has a session of its own. */
export class ControlServer {
  readonly #server: Server;
  readonly #sessions = new Map<Socket, CommandSession>();
  /** Of callbacks that wait for an attached shell. */
  readonly #hold = new ShellHold((release, cpuIndex) => this.#setRelease(release, cpuIndex));

  private constructor(
    private readonly path: string,
    private readonly api: Doors,
    private readonly feed: RunFeed | undefined,
  ) {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /**
   * Listens; the socket's mode is 0600.
   *
   * @param path of the socket, which must be free
   * @param api the names that !EXPRESSION can use
   * @param feed the events for watchers
   * @throws Error of the system when it cannot be made there
   */
  static async listen(path: string, api: Doors, feed?: RunFeed): Promise<ControlServer> {
    const control = new ControlServer(path, api, feed);
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

  /**
   * Holds a callback, and the guest with it, until an attached shell lets it go by cont or a step, or the last one has left.
   * Without any, it waits for one.
   *
   * @param cpuIndex the vCPU of the event, which the shells then look at
   */
  hold(cpuIndex: number): Promise<void> {
    return this.#hold.hold(cpuIndex);
  }

  #setRelease(release: (() => void) | undefined, cpuIndex: number): void {
    for (const session of this.#sessions.values()) {
      session.release = release;
      if (release) session.cpuIndex = cpuIndex;
    }
    this.feed?.setHeld(release !== undefined);
  }

  /** Ends all connections and removes the socket. */
  close(): void {
    this.#server.close();
    this.#hold.release?.();
    for (const socket of this.#sessions.keys()) socket.end();
    rmSync(this.path, { force: true });
  }

  #serve(socket: Socket): void {
    const session = new CommandSession(this.api);
    const target = createLocalTarget(session, this.feed);
    const tell = (message: object) => {
      if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
    };
    let lost = 0;
    target.onNotice = ({ text, data, moment }) => {
      if (socket.writableLength >= LARGEST_BACKLOG) return void lost++;
      tell({ notice: text, data, moment, ...(lost > 0 ? { lost } : {}) });
      lost = 0;
    };
    target.onEvent = (event) => {
      // A reader that is slower than the guest loses text and notices, and never an answer.
      if (event.event === "state" || socket.writableLength < LARGEST_BACKLOG) tell(event);
    };
    let pending = 0;
    this.#sessions.set(socket, session);
    session.release = this.#hold.release;
    if (session.release) session.cpuIndex = this.#hold.cpuIndex;
    // The other side may go at any time.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sessions.delete(socket);
      target.close();
      if (this.#sessions.size === 0) this.#hold.release?.();
    });
    socket.on("data", (bytes: Buffer) => {
      const at = bytes.lastIndexOf(10);
      pending = at < 0 ? pending + bytes.length : bytes.length - at - 1;
      if (pending > LONGEST_REQUEST) socket.destroy();
    });
    const takeLine = (text: string) => {
      const request = parse(text);
      void answer(request, target).then((result) => {
        const { prompt, isOver } = target;
        tell({ id: request?.id, ...result, prompt, isOver, holds: session.owner.size });
        if (isOver) socket.end();
      });
    };
    readLines(socket, takeLine, true);
  }
}

async function answer(request: ControlRequest | undefined, target: SessionTarget): Promise<Reply> {
  if (request?.interrupt === true) return target.interrupt();
  if (typeof request?.line === "string") return target.run(request.line);
  if (typeof request?.complete === "string") return target.complete(request.complete);
  if (Array.isArray(request?.look)) return { answers: await target.look(request.look.map(String)) };
  if (request?.watch === true) target.watch();
  else if (typeof request?.type === "string") target.sendToConsole(request.type);
  else return { error: 'a request is one line of JSON: {"line": "ps"} or {"interrupt": true}' };
  return { text: "", data: null };
}

function parse(text: string): ControlRequest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
