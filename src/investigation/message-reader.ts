import type { MessageInput } from "./investigation-module";

/** Longer lines are refused, in characters: parameters may hold long lists, and compressed ones are shorter. */
export const LONGEST_MESSAGE = 64 * 1024 * 1024;

/** Reads lines out of pieces that are cut at any place, also within a character. */
export class MessageReader {
  readonly #pieces: AsyncIterator<string | Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #lines: string[] = [];
  /** What has come of a line that is not complete; joined once, so that many small pieces cost no more than few. */
  #begun: string[] = [];
  #begunLength = 0;
  #isOver = false;

  constructor(input: MessageInput) {
    this.#pieces = input[Symbol.asyncIterator]();
  }

  /**
   * Reads the next line, without its end; the last one needs no line feed.
   *
   * @returns undefined at the end of the input
   * @throws RangeError for a line longer than LONGEST_MESSAGE; what the input throws
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
