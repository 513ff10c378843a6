/** One NAME=VALUE of a list. */
export interface NamedValue {
  readonly name: string;
  readonly value: string;
}

/**
 * Parses a list of names and values: `memory=yes,arguments='-a,-b'`. Commas separate; blanks around names and values are none of
 * them. A value within quotes, '...' or "...", is what is between them. In others, text in "..." keeps its commas and its
 * quotes, and a backslash in front of a comma or a quote takes its meaning away, also of the quote that ends a value; of
 * several there, two are one. Every other backslash is itself.
 *
 * @returns the pairs in their order, or the text of the first that is none
 */
export function parseNamedValues(text: string): readonly NamedValue[] | { readonly wrong: string } {
  const pairs: NamedValue[] = [];
  let at = 0;
  for (;;) {
    const name = /^\s*([\w.-]+)\s*=\s*/.exec(text.slice(at));
    if (name === null) return { wrong: text.slice(at).trim() };
    const start = at + name[0].length;
    const { value, end } = readQuoted(text, start) ?? readPlain(text, start);
    pairs.push({ name: name[1]!, value });
    if (end >= text.length) return pairs;
    at = end + 1;
  }
}

/** Writes a value so that parseNamedValues() returns it. */
export function quoteValue(value: string): string {
  if (/^[^\s,"'\\]+$/.test(value)) return value;
  // Backslashes in front of a quote are two each, and so are those in front of the last.
  return `'${value.replaceAll(/(\\*)'/g, "$1$1\\'").replace(/\\+$/, "$&$&")}'`;
}

interface ReadValue {
  readonly value: string;
  /** The index of the comma behind it, or of the text's end. */
  readonly end: number;
}

/** Reads a value that stands within quotes; undefined when it does not. */
function readQuoted(text: string, start: number): ReadValue | undefined {
  const quote = text[start];
  if (quote !== "'" && quote !== '"') return undefined;
  let value = "";
  for (let at = start + 1; at < text.length;) {
    const { slashes, next } = readSlashes(text, at);
    if (next !== quote) {
      value += "\\".repeat(slashes) + (next ?? "");
    } else {
      value += "\\".repeat(Math.floor(slashes / 2));
      const end = findEnd(text, at + slashes + 1);
      if (slashes % 2 === 1) value += quote;
      else if (end !== undefined) return { value, end };
      else return undefined;
    }
    at += slashes + 1;
  }
  return undefined;
}

/** Returns where a value ends when nothing but blanks stands between a place and its end. */
function findEnd(text: string, at: number): number | undefined {
  const behind = /^\s*(?=,|$)/.exec(text.slice(at));
  return behind === null ? undefined : at + behind[0].length;
}

function readPlain(text: string, start: number): ReadValue {
  let value = "";
  let at = start;
  while (at < text.length) {
    const { slashes, next } = readSlashes(text, at);
    const isMark = next === "," || next === '"' || next === "'";
    value += "\\".repeat(isMark ? Math.floor(slashes / 2) : slashes);
    at += slashes;
    const isTaken = isMark && slashes % 2 === 1;
    if (next === "," && !isTaken) break;
    const close = next === '"' && !isTaken ? text.indexOf('"', at + 1) : -1;
    value += close === -1 ? (next ?? "") : text.slice(at, close + 1);
    at = close === -1 ? at + 1 : close + 1;
  }
  return { value: value.trim(), end: Math.min(at, text.length) };
}

function readSlashes(text: string, at: number): { readonly slashes: number; readonly next: string | undefined } {
  const slashes = /^\\*/.exec(text.slice(at))![0].length;
  return { slashes, next: text[at + slashes] };
}

/** Whether an option says yes: "yes", "on", "true" or "1". */
export function isYes(value: string | undefined): boolean {
  return /^(1|yes|on|true)$/i.test(value ?? "");
}
