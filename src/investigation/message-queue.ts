/** Lines for one reader, which come one by one. */
export class MessageQueue implements AsyncIterableIterator<string> {
  readonly #lines: string[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;

  /** Adds a line; after the end it is nobody's. */
  push(line: string): void {
    if (this.#isOver) return;
    this.#lines.push(`${line}\n`);
    this.#wake?.();
  }

  /** Ends the input: what waits is still read. */
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
