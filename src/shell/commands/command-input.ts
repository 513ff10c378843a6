import { CommandError } from "./command-error";

/** A blank-separated word, in which "..." and '...' keep blanks together; the quotes stay for whoever reads the word. */
const WORD = /(?:"(?:[^"\\]|\\[^])*"|'[^']*'|[^\s"'])+/y;

/** What stands behind a command's name, read word by word. */
export class CommandInput {
  #at = 0;

  constructor(
    readonly command: string,
    readonly text: string,
  ) {}

  /** Whether nothing is left. */
  get isEmpty(): boolean {
    this.#skipBlanks();
    return this.#at >= this.text.length;
  }

  /** Takes the next word, if there is one. @throws CommandError when a quote is not closed */
  find(): string | undefined {
    if (this.isEmpty) return undefined;
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.text)?.[0];
    const next = word === undefined ? undefined : this.text[this.#at + word.length];
    if (word === undefined || (next !== undefined && !/\s/.test(next))) {
      throw new CommandError(`${this.command}: a quote is not closed in: ${this.text.slice(this.#at)}`);
    }
    this.#at += word.length;
    return word;
  }

  /**
   * Takes the next word.
   *
   * @param what it is, for the message when there is none
   * @throws CommandError
   */
  get(what: string): string {
    const word = this.find();
    if (word === undefined) throw new CommandError(`${this.command} needs ${what}; see: help ${this.command}`);
    return word;
  }

  /** Takes everything that is left, without the blanks around it. */
  rest(): string {
    const rest = this.text.slice(this.#at).trim();
    this.#at = this.text.length;
    return rest;
  }

  /** Checks that nothing is left. @throws CommandError */
  end(): void {
    if (!this.isEmpty) {
      throw new CommandError(`${this.command} has no use for "${this.rest()}"; see: help ${this.command}`);
    }
  }

  #skipBlanks(): void {
    while (/\s/.test(this.text[this.#at] ?? "")) this.#at++;
  }
}
