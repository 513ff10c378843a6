import { gunzipSync, gzipSync } from "node:zlib";
import type { MessageInput } from "./module";
import { MessageError } from "./errors";

/** The largest size of parameters after they are expanded, in bytes. */
const LARGEST_PARAMETERS = 64 * 1024 * 1024;

/** The classes of messages, which are MIG's; "result" answers a query to a persistent module. */
export const MESSAGE_CLASSES = ["parameters", "stop", "ping", "log", "register", "config", "alert", "result"] as const;

export type MessageClass = (typeof MESSAGE_CLASSES)[number];

/** One line to or from a module. */
export interface InvestigationMessage {
  readonly class: MessageClass;
  readonly parameters?: unknown;
  readonly id?: number;
}

/**
 * Reads a message.
 *
 * @throws MessageError with the reason when the line is no message
 */
export function parseMessage(line: string): InvestigationMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new MessageError(`it is no JSON (${(error as Error).message.slice(0, 200)})`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new MessageError("it is no JSON object");
  const kind = (value as { class?: unknown }).class;
  if (kind === undefined) throw new MessageError('it has no "class"');
  if (!MESSAGE_CLASSES.includes(kind as MessageClass)) {
    throw new MessageError(`its class is ${String(JSON.stringify(kind)).slice(0, 100)}`);
  }
  return value as InvestigationMessage;
}

/**
 * Reads the parameters of a run out of its first line. They are an object, or a text that compressParameters() has made.
 *
 * @param line undefined when the input has ended before
 * @throws MessageError with MIG's sentence and the reason
 */
export function readInputParameters(line: string | undefined): unknown {
  try {
    if (line === undefined || line.trim() === "") throw new MessageError("there is none");
    const message = parseMessage(line);
    if (message.class !== "parameters") throw new MessageError(`its class is "${message.class}"`);
    const { parameters } = message;
    return typeof parameters === "string" ? expandParameters(parameters) : (parameters ?? {});
  } catch (error) {
    throw new MessageError(`unexpected input is not module parameters: ${(error as Error).message}`, { cause: error });
  }
}

/** Makes parameters shorter for transport: gzip in base64. */
export function compressParameters(parameters: unknown): string {
  return gzipSync(JSON.stringify(parameters)).toString("base64");
}

/** Expands a text of compressParameters(). @throws MessageError with the problem */
export function expandParameters(text: string): unknown {
  if (text === "" || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    throw new MessageError("its parameters are a text, and no base64");
  }
  let bytes: Buffer;
  try {
    bytes = gunzipSync(Buffer.from(text, "base64"), { maxOutputLength: LARGEST_PARAMETERS });
  } catch (error) {
    throw new MessageError(`its parameters cannot be expanded: ${(error as Error).message}`, { cause: error });
  }
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new MessageError("its parameters, expanded, are no JSON");
  }
}

/** The longest line that is accepted, in characters: parameters may hold long lists, and compressed ones are shorter. */
export const LONGEST_MESSAGE = 64 * 1024 * 1024;

/** Reads lines out of pieces that are cut at any place, also within a character. */
export class MessageReader {
  readonly #pieces: AsyncIterator<string | Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #lines: string[] = [];
  /** The received pieces of a line that is not complete. They are joined once: many small pieces cost no more than few large ones. */
  #begun: string[] = [];
  #begunLength = 0;
  #isOver = false;

  constructor(input: MessageInput) {
    this.#pieces = input[Symbol.asyncIterator]();
  }

  /**
   * Reads the next line, without its end; the last line needs no line feed.
   *
   * @returns undefined at the end of the input
   * @throws RangeError for a line longer than LONGEST_MESSAGE; the input's own errors
   */
  async next(): Promise<string | undefined> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#isOver) return undefined;
      const { value, done } = await this.#pieces.next();
      if (done === true) this.#end();
      else this.#take(typeof value === "string" ? value : this.#decoder.decode(value, { stream: true }));
    }
  }

  #take(text: string): void {
    const parts = text.split("\n");
    const last = parts.pop() as string;
    for (const part of parts) {
      this.#begun.push(part);
      this.#lines.push(this.#takeBegun());
    }
    this.#begun.push(last);
    this.#begunLength += last.length;
    if (this.#begunLength > LONGEST_MESSAGE) {
      this.#isOver = true;
      throw new RangeError(`a message is longer than ${LONGEST_MESSAGE} characters`);
    }
  }

  #end(): void {
    this.#isOver = true;
    this.#begun.push(this.#decoder.decode());
    const last = this.#takeBegun();
    if (last !== "") this.#lines.push(last);
  }

  #takeBegun(): string {
    const line = this.#begun.join("");
    this.#begun = [];
    this.#begunLength = 0;
    return line.endsWith("\r") ? line.slice(0, -1) : line;
  }
}

/**
 * Reads lines until a stop message comes, for a run that does not extend `Investigation`. The end of the input and other lines are
 * no reason to stop.
 *
 * @returns whether one came
 */
export async function readUntilStop(reader: MessageReader): Promise<boolean> {
  try {
    for (let line = await reader.next(); line !== undefined; line = await reader.next()) if (isStop(line)) return true;
  } catch {
    // The input cannot be read any more, so no stop message can come.
  }
  return false;
}

function isStop(line: string): boolean {
  try {
    return parseMessage(line).class === "stop";
  } catch {
    return false;
  }
}

/** A queue of lines for one reader. */
export class MessageQueue implements AsyncIterableIterator<string> {
  readonly #lines: string[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;

  /** Adds a line; after the end it is dropped. */
  push(line: string): void {
    if (this.#isOver) return;
    this.#lines.push(`${line}\n`);
    this.#wake?.();
  }

  /** Ends the input: waiting lines are still read. */
  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<string>> {
    while (this.#lines.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    const value = this.#lines.shift();
    return value === undefined ? { value: undefined, done: true } : { value };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
