import { findNearestName } from "../config/nearest-name";
import { UsageShown } from "./usage-shown";

/** What a flag takes: nothing; one text or number; or texts, as often as it is given. */
export type FlagKind = "switch" | "text" | "number" | "texts";

interface FlagValues {
  readonly switch: boolean;
  readonly text: string;
  readonly number: number;
  readonly texts: string[];
}

/** What flags were given. One that was not given is missing, so that the schema's default holds. */
export type Flags<Kinds extends Readonly<Record<string, FlagKind>>> = {
  -readonly [Name in keyof Kinds]?: FlagValues[Kinds[Name]];
};

/**
 * Reads the words of a command line as Go's flags, which MIG's modules have: -name value, -name=value, also with two dashes; a switch
 * stands alone or is -name=false.
 *
 * @param args the words
 * @param kinds the flags that there are, without dashes
 * @param help what `help` and -h show
 * @throws UsageShown with the help when it is asked for
 * @throws Error for a flag that there is not, a missing or wrong value, a word that belongs to no flag
 */
export function parseFlags<const Kinds extends Readonly<Record<string, FlagKind>>>(
  args: readonly string[],
  kinds: Kinds,
  help: string,
): Flags<Kinds> {
  const flags: Record<string, boolean | string | number | string[]> = {};
  const words = [...args];
  if (words[0] === "help") throw new UsageShown(help);
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, name, given] = /^--?([^=-][^=]*)(?:=([^]*))?$/.exec(word) ?? [];
    if (name === undefined) throw new Error(`"${word}" belongs to no flag; flags are ${listFlags(kinds)}`);
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) {
      if (["h", "help"].includes(name)) throw new UsageShown(help);
      const nearest = findNearestName(name, Object.keys(kinds));
      const hint = nearest === undefined ? `flags are ${listFlags(kinds)}` : `do you mean -${nearest}?`;
      throw new Error(`there is no flag -${name}; ${hint}`);
    }
    if (kind === "switch") {
      if (given !== undefined && !["true", "false"].includes(given)) throw new Error(`-${name} is true or false`);
      flags[name] = given !== "false";
      continue;
    }
    const value = given ?? words.shift();
    if (value === undefined) throw new Error(`-${name} needs a value`);
    if (kind === "texts") flags[name] = [...((flags[name] as string[] | undefined) ?? []), value];
    else flags[name] = kind === "number" ? readNumber(name, value) : value;
  }
  return flags as Flags<Kinds>;
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new Error(`-${name} needs a number, not "${text}"`);
  return value;
}

function listFlags(kinds: Readonly<Record<string, FlagKind>>): string {
  return Object.keys(kinds)
    .map((name) => `-${name}`)
    .join(" ");
}
