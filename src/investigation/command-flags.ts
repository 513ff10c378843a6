import { findNearestName } from "../config/nearest-name";
import { UsageShown } from "./usage-shown";

/** What follows a flag: a text; a text that is added to those before; a whole number; or nothing. */
export type FlagKind = "text" | "list" | "number" | "switch";

/**
 * Reads a command line's words as MIG's modules do: -name VALUE, -name=VALUE, and -switch. A flag of a list may be repeated.
 *
 * @param flags by their names without "-"
 * @param help what "help" shows
 * @returns the values of the flags that are there, by their names
 * @throws UsageShown for "help", Error for words that mean nothing here
 */
export function parseFlags<Name extends string>(
  args: readonly string[],
  flags: Readonly<Record<Name, FlagKind>>,
  help: string,
): Partial<Record<Name, string | string[] | number | boolean>> {
  const values: Record<string, string | string[] | number | boolean> = {};
  const names = Object.keys(flags);
  for (let index = 0; index < args.length; index++) {
    const word = args[index] as string;
    if (/^(help|-h|-help|--help)$/.test(word)) throw new UsageShown(help);
    const [, name = "", given] = /^--?([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    const kind = (flags as Readonly<Record<string, FlagKind | undefined>>)[name];
    if (kind === undefined) {
      const nearest = findNearestName(name, names);
      const hint =
        nearest === undefined ? `there are ${names.map((one) => `-${one}`).join(", ")}` : `do you mean -${nearest}?`;
      throw new Error(`there is no flag ${word}; ${hint}`);
    }
    if (kind === "switch") {
      values[name] = readSwitch(name, given);
      continue;
    }
    const value = given ?? args[++index];
    if (value === undefined) throw new Error(`-${name} needs a value`);
    if (kind === "list") values[name] = [...((values[name] as string[] | undefined) ?? []), value];
    else values[name] = kind === "number" ? readNumber(name, value) : value;
  }
  return values as Partial<Record<Name, string | string[] | number | boolean>>;
}

function readSwitch(name: string, text = "true"): boolean {
  if (text !== "true" && text !== "false") throw new Error(`-${name} is "${text}": it is true or false`);
  return text === "true";
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new Error(`-${name} is "${text}": it must be a whole number`);
  return value;
}
