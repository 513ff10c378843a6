import type { CommandInput } from "./command-input";
import type { CommandResult } from "./command-result";
import type { CommandSession } from "./command-session";

/** One command: what it is called, how its arguments are read, and what it does. How it is shown is no part of it. */
export interface Command<Args = unknown> {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** The arguments, as the help shows them: "ADDRESS[:COUNT]". */
  readonly usage?: string;
  /** What it does: a first line for the list of commands, then more when there is more to say. */
  readonly help: string;
  /** It is about a machine that lives: it has no meaning for a memory image. */
  readonly isForLiving?: boolean;
  /** Reads the arguments. @throws CommandError that says what is wrong with them */
  parse(input: CommandInput, session: CommandSession): Args;
  /** @throws CommandError, or what the layers below throw: every one's message is for the user */
  run(args: Args, session: CommandSession): CommandResult | Promise<CommandResult>;
}

/** Declares a command; the type of its arguments is that of what its parser returns. */
export function defineCommand<Args>(command: Command<Args>): Command {
  return command as Command;
}
