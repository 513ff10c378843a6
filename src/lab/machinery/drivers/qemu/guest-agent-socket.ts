import { randomInt } from "node:crypto";
import { connect, type Socket } from "node:net";
import { GuestAgentError, MachineryConnectionError } from "../../../errors";

/** The agent answers reads of files with less, in bytes; a hostile guest may write without end. */
const LONGEST_ANSWER = 64 << 20;
/** The agent writes it before the answer to guest-sync-delimited, and takes it as the end of all that came before. */
const SENTINEL = 0xff;
const NEWLINE = 0x0a;

interface AgentAnswer {
  readonly return?: unknown;
  readonly error?: { readonly class?: string; readonly desc?: string };
}

/**
 * Has QEMU's guest agent execute one command, on a connection of its own to the socket of its port. The connection begins with
 * guest-sync-delimited, after which nothing of an earlier one is taken for an answer: docs/interop/qemu-ga-ref of QEMU.
 *
 * @param path of the socket
 * @param limitMs for the answer; the guest may not run an agent
 * @throws MachineryConnectionError when nobody answers in time, or not as the agent does; GuestAgentError when it refuses
 */
export async function callGuestAgent(
  path: string,
  command: string,
  args: object,
  limitMs: number,
  signal: AbortSignal,
): Promise<unknown> {
  signal.throwIfAborted();
  const socket = connect(path);
  const lines = new AgentLines(socket);
  const failed = (text: string) => socket.destroy(new MachineryConnectionError(`QEMU's guest agent: ${text}`));
  const timer = setTimeout(() => failed(`no answer to ${command} within ${limitMs / 1000} s`), limitMs);
  const onAbort = () => failed(`${command} was cancelled`);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const id = randomInt(1, 2 ** 31);
    const sync = encode("guest-sync-delimited", { id });
    // It takes one after the other: to wait for the first answer would cost the guest a second wake-up.
    socket.write(Buffer.concat([Buffer.from([SENTINEL]), sync, encode(command, args)]));
    for (;;) {
      const answer = await lines.next();
      if (answer.return === id) break;
    }
    const { error, return: result } = await lines.next();
    if (error !== undefined) throw new GuestAgentError(command, error.desc ?? error.class ?? "without a reason");
    return result;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}

function encode(execute: string, args: object): Buffer {
  return Buffer.from(`${JSON.stringify({ execute, arguments: args })}\n`);
}

/** The answers that come from a socket, one a line. */
class AgentLines {
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #hasLine = false;
  #failure: Error | undefined;
  #wake = () => {};

  constructor(socket: Socket) {
    socket.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#size += bytes.length;
      this.#hasLine ||= bytes.includes(NEWLINE);
      if (this.#size > LONGEST_ANSWER)
        socket.destroy(new MachineryConnectionError("QEMU's guest agent: an answer without an end"));
      this.#wake();
    });
    socket.on("error", (error) => {
      const isOurs = error instanceof MachineryConnectionError;
      this.#failure ??= isOurs ? error : new MachineryConnectionError(`QEMU's guest agent: ${error.message}`);
      this.#wake();
    });
    socket.on("close", () => {
      this.#failure ??= new MachineryConnectionError("QEMU has closed the connection to its guest agent");
      this.#wake();
    });
  }

  /** @throws MachineryConnectionError when the connection ends before */
  async next(): Promise<AgentAnswer> {
    for (;;) {
      const line = this.#takeLine();
      if (line !== undefined) {
        const answer = parseAnswer(line);
        if (answer !== undefined) return answer;
        continue;
      }
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #takeLine(): Buffer | undefined {
    if (!this.#hasLine) return undefined;
    const all = Buffer.concat(this.#chunks.splice(0));
    const end = all.indexOf(NEWLINE);
    const rest = all.subarray(end + 1);
    this.#chunks.push(rest);
    this.#size = rest.length;
    this.#hasLine = rest.includes(NEWLINE);
    return all.subarray(0, end);
  }
}

/** Returns undefined for what is no answer: remains of one that was cut off. */
function parseAnswer(line: Buffer): AgentAnswer | undefined {
  const text = line.subarray(line.lastIndexOf(SENTINEL) + 1).toString("utf8");
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
}
