import { CommandError } from "../errors";
import type { CommandResult } from "./command-result";
import type { CommandSession } from "./command-session";

/** One command: its name, the reading of its arguments, and its work. Showing the answer is no part of it. */
export interface Command<Args = unknown> {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** The arguments, as the help shows them: "ADDRESS[:COUNT]". */
  readonly usage?: string;
  /** The help: a first line for the list of commands, then more lines where needed. */
  readonly help: string;
  /** Whether it needs a running machine: it has no meaning for a memory image. */
  readonly isForLiving?: boolean;
  /** Reads the arguments. @throws CommandError with the problem */
  parse(input: CommandInput, session: CommandSession): Args;
  /** Carries out the command. @throws CommandError, or errors of the layers below: all messages are for the user */
  run(args: Args, session: CommandSession): CommandResult | Promise<CommandResult>;
}

/** Declares a command; the type of its arguments is the type that its parser returns. */
export function defineCommand<Args>(command: Command<Args>): Command {
  return command as Command;
}

/** A blank-separated word, in which "..." and '...' keep blanks together; the quotes stay in the word. */
const WORD = /(?:"(?:[^"\\]|\\[^])*"|'[^']*'|[^\s"'])+/y;

/** The text behind a command's name, read word by word. */
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
   * @param what the name of the word, for the message when there is none
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
