import { findStillMachine } from "../../machine/state/machine-access";
import { CommandError } from "../errors";
import { CommandInput } from "./command";
import { type CommandResult, textResult } from "./command-result";
import { CommandSession } from "./command-session";
import { getCommand } from "./command-table";
import { type JsonValue, renderJson, renderText } from "./rendering/render";

const DEEPEST_ALIAS = 16;
/** Commands whose argument may follow without a blank: !1+1, $x = 1. */
const SIGNS = /^\s*([!$?])([^]*)$/;
const LINE = /^\s*(\S+)\s*([^]*)$/;

/** The answer to a line of commands, in both forms. */
export interface CommandAnswer {
  /** For people, without a line feed at the end. */
  readonly text: string;
  /** For programs. */
  readonly data: JsonValue;
}

let common: CommandSession | undefined;

/** Sets the session of callers without one of their own, such as QEMU's monitor; the one before is closed. */
export function setCommonSession(session: CommandSession | undefined): void {
  common?.close();
  common = session;
}

/**
 * Carries out one line: a command and its arguments. An empty line, and one that begins with #, does nothing.
 *
 * @param session the session with process, vCPU, variables and aliases; by default that of callers without one
 * @throws CommandError for a line that means nothing; other errors of the command: every message is for the user
 */
export async function runCommandLine(text: string, session?: CommandSession): Promise<CommandAnswer> {
  const result = await runCommand(text, session ?? getCommonSession());
  return { text: renderText(result), data: renderJson(result) };
}

function getCommonSession(): CommandSession {
  common ??= new CommandSession();
  return common;
}

async function runCommand(text: string, session: CommandSession): Promise<CommandResult> {
  const [name, rest] = splitLine(expandAlias(text, session));
  if (name === "") return textResult("");
  const command = getCommand(name);
  const image = findStillMachine();
  if (image && command.isForLiving === true) {
    throw new CommandError(
      `${name} needs a machine that lives: this is the image ${image.path}, which can be read only`,
    );
  }
  const input = new CommandInput(name, rest);
  const args = command.parse(input, session);
  input.end();
  return command.run(args, session);
}

function splitLine(text: string): [name: string, rest: string] {
  if (/^\s*(#|$)/.test(text)) return ["", ""];
  const [, name, rest] = (SIGNS.exec(text) ?? LINE.exec(text)) as unknown as [string, string, string];
  return [name, rest];
}

function expandAlias(text: string, session: CommandSession): string {
  let line = text;
  for (let depth = 0; depth < DEEPEST_ALIAS; depth++) {
    const [name, rest] = splitLine(line);
    const alias = session.aliases.get(name);
    if (alias === undefined) return line;
    line = `${alias} ${rest}`;
    // An alias of a command's own name adds arguments to it.
    if (splitLine(alias)[0] === name) return line;
  }
  throw new CommandError(`the aliases in "${text.trim()}" lead to each other`);
}
