import { toPlainLine } from "../../../config/terminal-text";

/** The name of a symbol, as it is written in commands. */
export interface SymbolName {
  readonly module: string;
  /** Empty for the beginning of the module itself. */
  readonly name: string;
}

/** A name and the length of the text that it was written with. */
export interface WrittenName extends SymbolName {
  readonly length: number;
}

/** A module's name may have whatever a file's name has; without quotes it has no blank, quote, colon or "!". */
const PLAIN = /^(?<module>[^\s!:"']+)!(?<name>[\w.$@]*)/;
const QUOTED = /^"(?<module>(?:[^"\\!]|\\[^])+)!(?<name>(?:[^"\\]|\\[^])*)"/;
const ESCAPED = /\\(x[0-9a-f]{2}|u[0-9a-f]{4}|[^])/g;

/**
 * Reads "MODULE!NAME", "MODULE!", or the same in quotes, at the beginning of a text. All before the "!" is the module's name, whatever
 * arithmetic or number it looks like.
 *
 * @returns undefined when there is none
 */
export function readSymbolName(text: string): WrittenName | undefined {
  const plain = PLAIN.exec(text);
  if (plain) return { ...getParts(plain), length: plain[0].length };
  const quoted = QUOTED.exec(text);
  if (!quoted) return undefined;
  const { module, name } = getParts(quoted);
  return { module: unescape(module), name: unescape(name), length: quoted[0].length };
}

/** Writes a name so that readSymbolName() reads it, and nothing in it can reach a terminal as a control character. */
export function writeSymbolName({ module, name }: SymbolName): string {
  const plain = `${module}!${name}`;
  if (PLAIN.exec(plain)?.[0] === plain && toPlainLine(plain) === plain) return plain;
  return `"${escape(module).replaceAll("!", "\\!")}!${escape(name)}"`;
}

function getParts({ groups }: RegExpExecArray): SymbolName {
  return groups as unknown as SymbolName;
}

function escape(text: string): string {
  return toPlainLine(text.replace(/["\\]/g, "\\$&"));
}

function unescape(text: string): string {
  return text.replace(ESCAPED, (_, code: string) => {
    if (code.length > 1) return String.fromCharCode(parseInt(code.slice(1), 16));
    return { n: "\n", t: "\t" }[code] ?? code;
  });
}
