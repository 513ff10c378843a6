import { findSystem } from "../../guest/guest";
import { KernelDataError } from "../../systems/errors";
import type { CommandSession } from "./command-session";
import { listCommandNames } from "./command-table";
import { toPlainLine } from "../../config/terminal-text";

/** The longest list of completions: nobody chooses from more. */
const MOST_COMPLETIONS = 200;
/** Commands whose argument is a command's name. */
const HELP = new Set(["help", "h", "?", "list_commands"]);
/** The last name of a line, which may begin within a word. */
const WORD = /[^\s+\-:="]*$/;
/** A symbol with its module, whose name may look like arithmetic: af-alg!main. */
const SYMBOL = /[^\s!:"']+![\w.$@]*$/;

/** The completions of the last word of a line. */
export interface LineCompletion {
  /** The part of the line that they replace: its end. */
  readonly word: string;
  /** Whole words, sorted. */
  readonly words: readonly string[];
}

/**
 * Completes the last word of a line: the name of a command or alias, "$name", or a symbol as "module!name".
 *
 * @param line up to the cursor
 */
export function completeLine(line: string, session: CommandSession): LineCompletion {
  const symbol = SYMBOL.exec(line)?.[0];
  const whole = symbol === undefined ? undefined : completeWord(line, symbol, session);
  return whole !== undefined && whole.words.length > 0
    ? whole
    : completeWord(line, WORD.exec(line)?.[0] ?? "", session);
}

function completeWord(line: string, word: string, session: CommandSession): LineCompletion {
  const before = line.slice(0, line.length - word.length).trim();
  const words = listCandidates(word, before, session).filter(
    // A name that cannot be written as one word of a line is no completion: names of the guest may hold anything.
    (candidate) => candidate.startsWith(word) && candidate === toPlainLine(candidate) && !/\s/.test(candidate),
  );
  return { word, words: [...new Set(words)].sort().slice(0, MOST_COMPLETIONS) };
}

function listCandidates(word: string, before: string, session: CommandSession): readonly string[] {
  if (word.startsWith("$")) return [...session.variables.keys()].map((name) => `$${name}`);
  const commands = () => [...listCommandNames(), ...session.aliases.keys()];
  if (before === "") return commands();
  if (HELP.has(before)) return commands();
  return word.includes("!") ? listSymbols(word, session) : [];
}

function listSymbols(word: string, session: CommandSession): string[] {
  const guest = findSystem();
  if (!guest) return [];
  const at = word.lastIndexOf("!");
  const module = word.slice(0, at);
  const found: string[] = [];
  try {
    const pgd = session.userPgd(guest);
    // Names of the guest's symbols are no patterns here.
    const pattern = `${word.slice(at + 1).replace(/[*?]/g, "")}*`;
    for (const space of pgd === 0n ? [0n] : [0n, pgd]) {
      for (const symbol of guest.symbols.search(space, pattern)) {
        if (symbol.module === module) found.push(`${module}!${symbol.name}`);
        if (found.length === MOST_COMPLETIONS) return found;
      }
    }
  } catch (error) {
    // The process has ended, or the guest's lists are damaged.
    if (!(error instanceof KernelDataError || error instanceof RangeError)) throw error;
  }
  return found;
}
