import type { FastifyRequest } from "fastify";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Right } from "../accounts/roles";
import { BusyError, RequestError } from "../errors";
import { findCaller } from "../http/caller";
import type { Accounts } from "../server-parts";

/** The most views at once: each is a connection to a machine. */
const MOST_VIEWS = 100;
/** The time between two looks whether a viewer is there and may still look, in milliseconds. */
const BEAT_MS = 15_000;
const END_MS = 1_000;
/** The bytes that a slow viewer may leave waiting; above that the machine's own server is not read from, and sends fewer pictures. */
export const MOST_WAITING = 1 << 20;
/** Of the reason in a WebSocket's close frame (RFC 6455, 5.5), in bytes. */
const LONGEST_REASON = 120;

/** Reasons for the end of a view: RFC 6455, 7.4.1. */
export const GOES_ON = 1000;
const ENDS = 1001;
const REFUSED = 1008;
const FAILED = 1011;
/** The reason when the machine itself has ended the view. */
export const GONE_OFF = "the machine has gone off";

/** A machine that somebody wants to look at. */
export interface LiveTarget {
  readonly machine: string;
  /** "analysis 5 on office" */
  readonly title: string;
  /** The phase of the analysis that has it; undefined for a machine alone. */
  readonly phase: string | undefined;
}

/** The connections of viewers to machines: to their screens and consoles. */
export class LiveViews {
  readonly #sockets = new Set<WebSocket>();

  constructor(private readonly accounts: Accounts) {}

  get count(): number {
    return this.#sockets.size;
  }

  /** Ends all of them. */
  close(): void {
    for (const socket of this.#sockets) {
      endView(socket, ENDS, "the server ends");
      setTimeout(() => socket.terminate(), END_MS).unref();
    }
  }

  /**
   * Keeps a view as long as its viewer is there and has the right.
   *
   * @param open connects it with a machine; a RequestError or another error is the reason that the viewer is told
   */
  async serve(
    socket: WebSocket,
    request: FastifyRequest,
    right: Right,
    open: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    // Nothing is lost that comes before the machine has answered.
    socket.pause();
    const closing = new AbortController();
    let isThere = true;
    socket.on("pong", () => (isThere = true));
    const beat = setInterval(() => {
      if (!isThere) return socket.terminate();
      if (findCaller(request, this.accounts)?.rights.has(right) !== true) return endView(socket, REFUSED, "you may not look any longer: sign in again"); // prettier-ignore
      isThere = false;
      socket.ping();
    }, BEAT_MS);
    socket.on("close", () => {
      clearInterval(beat);
      this.#sockets.delete(socket);
      closing.abort();
    });
    this.#sockets.add(socket);
    try {
      if (this.#sockets.size > MOST_VIEWS) throw new BusyError("too many look at machines; try again in 10 seconds");
      await open(closing.signal);
      socket.resume();
    } catch (error) {
      socket.resume();
      endView(socket, error instanceof RequestError ? REFUSED : FAILED, error instanceof Error ? error.message : String(error)); // prettier-ignore
    }
  }
}

/** How a viewer is joined with a machine's stream. */
export interface JoinOptions {
  /** Whether the viewer gets what the stream reads. */
  readonly sendsOutput?: boolean;
  /** Called when something has come from the machine. Returns what the machine gets for it. */
  readonly answer?: () => Buffer | undefined;
  /** The stream has ended, and all of it is sent; without it the view ends. */
  readonly onEnd?: () => void;
}

/**
 * Joins a viewer and a machine's stream: the end of one is that of the other.
 *
 * @param pass makes of the viewer's bytes those that the machine gets; an error ends the view
 */
export function joinViewer(
  socket: WebSocket,
  machine: Duplex,
  pass: (bytes: Buffer) => Buffer,
  { sendsOutput = true, answer, onEnd = () => endView(socket, GOES_ON, GONE_OFF) }: JoinOptions = {},
): void {
  socket.on("message", (data: Buffer) => {
    try {
      const passed = pass(data);
      if (passed.length === 0 || machine.write(passed)) return;
      socket.pause();
      machine.once("drain", () => socket.resume());
    } catch (error) {
      endView(socket, REFUSED, error instanceof Error ? error.message : String(error));
    }
  });
  const sender = new SlowSender(socket, machine);
  machine.on("data", (bytes: Buffer) => {
    if (sendsOutput) sender.add(bytes);
    const answered = answer?.();
    if (answered !== undefined && !machine.writableEnded) machine.write(answered);
  });
  machine.on("error", () => machine.destroy());
  machine.on("close", () => {
    sender.send();
    onEnd();
  });
  socket.on("close", () => machine.destroy());
  if (socket.readyState !== socket.OPEN) machine.destroy();
}

/** Ends a view. @param reason for the viewer; it is cut where it is too long */
export function endView(socket: WebSocket, code: number, reason: string): void {
  let text = reason;
  while (Buffer.byteLength(text) > LONGEST_REASON) text = [...text].slice(0, -1).join("");
  if (socket.readyState === socket.OPEN) socket.close(code, text);
}

/** Sends bytes, those that come in one turn of the event loop together, and has their source wait while the viewer does not take them. */
class SlowSender {
  /** A picture is read in pieces of 64 KiB: a message for each would take the most of the time. */
  #pieces: Buffer[] = [];

  constructor(
    private readonly socket: WebSocket,
    private readonly source: Duplex,
  ) {}

  add(bytes: Buffer): void {
    this.#pieces.push(bytes);
    if (this.#pieces.length === 1) setImmediate(() => this.send());
  }

  /** Sends what has come so far. */
  send(): void {
    const { socket, source } = this;
    const pieces = this.#pieces;
    this.#pieces = [];
    if (pieces.length === 0 || socket.readyState !== socket.OPEN) return;
    socket.send(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces), () => {
      if (source.isPaused() && socket.bufferedAmount < MOST_WAITING / 2) source.resume();
    });
    if (socket.bufferedAmount > MOST_WAITING) source.pause();
  }
}
