import { toPlainLine } from "../../../config/terminal-text";
import type { SystemSymbols } from "../../../systems/guest-system";

/** The largest number of modules without symbols that are named. */
const MOST_NAMED = 3;

/** The modules that are looked through, and why one of them has no symbols. */
export type SearchedModules = Pick<SystemSymbols, "getModules" | "explainEmpty">;

/**
 * Says which part of a search for symbols had no match: the module, the symbols of the module, or the name.
 *
 * @param pgd of the process that is looked through too; 0 for none
 * @param module the module's name as it was asked for
 * @param isWanted whether a module is meant by it
 * @returns undefined when the modules are there and have symbols: the name is what has no match
 */
export function explainMissingSymbols(
  symbols: SearchedModules,
  pgd: bigint,
  module: string,
  isWanted: (name: string, path: string) => boolean,
): string | undefined {
  const spaces = pgd === 0n ? [0n] : [0n, pgd];
  const wanted = spaces.flatMap((space) =>
    symbols
      .getModules(space)
      .filter(({ name, path }) => isWanted(name, path))
      .map((one) => ({ one, space })),
  );
  if (wanted.length === 0) {
    const others = pgd === 0n ? "; those of a process: proc PROCESS, then lm" : "";
    return `no module ${toPlainLine(module)} here; modules: lm${others}`;
  }
  const reasons: string[] = [];
  for (const { one, space } of wanted) {
    const reason = symbols.explainEmpty(space, one);
    if (reason === undefined) return undefined;
    reasons.push(`${toPlainLine(one.name)} has no symbols, since ${reason}`);
  }
  const more = reasons.length - MOST_NAMED;
  return [...reasons.slice(0, MOST_NAMED), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}
