import type { Argument, Command, Option } from "commander";

/** One word that may stand where the cursor is. */
export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** The answer to a shell that completes. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Whether the shell's own completion of files applies besides. */
  readonly files: boolean;
}

const NOTHING: Completion = { candidates: [], files: false };
const FILES: Completion = { candidates: [], files: true };
/** Values that are no files: everything else may be one, and a file that is offered in vain does no harm. */
const NO_FILE =
  /^(seconds|ms|count|number|name|names|line|lines|k=v|tags|reason|settings|machinery|module|misplaced|words)/;

/**
 * Finds the words that may stand at the end of a command line, by the same commands and options as the help.
 *
 * @param program the command `rebox`
 * @param words those behind `rebox`; the last is the one at the cursor, which may be empty
 */
export function completeWords(program: Command, words: readonly string[]): Completion {
  const current = words.at(-1) ?? "";
  let command = program;
  let awaited: Option | undefined;
  let positionals = 0;
  for (const word of words.slice(0, -1)) {
    // QEMU's arguments, or words that only look like options.
    if (word === "--") return FILES;
    if (awaited) awaited = undefined;
    else if (word.startsWith("-")) awaited = findOption(command, word);
    else {
      const next = command.commands.find((one) => one.name() === word);
      // The words behind `help` are those of the command that it explains.
      if (word === "help" && command.commands.length > 0) positionals = 0;
      else if (next) [command, positionals] = [next, 0];
      else positionals++;
    }
  }
  if (awaited) return completeValue(awaited.argChoices, getPlaceholder(awaited), current);
  const [, flag, part] = /^(--[\w-]+=)(.*)$/s.exec(current) ?? [];
  if (flag !== undefined) {
    const option = findOption(command, flag.slice(0, -1));
    if (!option) return NOTHING;
    const { candidates, files } = completeValue(option.argChoices, getPlaceholder(option), part!);
    return { candidates: candidates.map((each) => ({ ...each, value: `${flag}${each.value}` })), files };
  }
  if (current.startsWith("-")) return { candidates: startingWith(current, listOptions(command)), files: false };
  const commands = positionals === 0 ? listCommands(command) : [];
  const { candidates, files } = completeArgument(command, positionals, current);
  return { candidates: [...startingWith(current, commands), ...candidates], files };
}

/** Finds an option that takes its value from the next word; undefined for a flag, or a word with its value in it. */
function findOption(command: Command, word: string): Option | undefined {
  const option = command.options.find(({ short, long }) => word === short || word === long);
  return option && (option.required || option.optional) ? option : undefined;
}

function getPlaceholder({ flags }: Option): string {
  return /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? "";
}

function completeArgument(command: Command, position: number, current: string): Completion {
  const known = command.registeredArguments;
  const last = known.at(-1);
  const argument: Argument | undefined = known[position] ?? (last?.variadic ? last : undefined);
  return argument ? completeValue(argument.argChoices, argument.name(), current) : NOTHING;
}

function completeValue(choices: readonly string[] | undefined, name: string, current: string): Completion {
  if (choices === undefined) return NO_FILE.test(name) ? NOTHING : FILES;
  return {
    candidates: startingWith(
      current,
      choices.map((value) => ({ value, description: "" })),
    ),
    files: false,
  };
}

function listOptions(command: Command): Candidate[] {
  const all = command.createHelp().visibleOptions(command);
  return all.flatMap(({ short, long, description }) =>
    [long, short].flatMap((value) => (value ? [{ value, description }] : [])),
  );
}

function listCommands(command: Command): Candidate[] {
  const all = command.createHelp().visibleCommands(command);
  return all.map((one) => ({ value: one.name(), description: one.summary() || one.description() }));
}

function startingWith(current: string, all: readonly Candidate[]): Candidate[] {
  return all.filter(({ value }) => value.startsWith(current));
}
