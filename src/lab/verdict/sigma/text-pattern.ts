/** A place in a pattern that fits more than one text. */
export const enum Wildcard {
  /** Any characters, none too. */
  any,
  /** One character. */
  one,
  /** The beginning of a parameter: a hyphen, a slash, or a character that people type in place of them. */
  dash,
}

/** A text with wildcards, as the values of Sigma's rules have them: literal pieces and what stands between them. */
export type TextPattern = readonly (string | Wildcard)[];

/** The characters that begin a parameter: the specification's modifier windash. */
const DASHES = new Set(["-", "/", "\u2013", "\u2014", "\u2015"]);

/**
 * Reads a value of a rule: `*` and `?` are wildcards, a backslash takes that from them, and from another backslash. Before
 * any other character a backslash is itself.
 */
export function parseTextPattern(value: string): TextPattern {
  const pieces: (string | Wildcard)[] = [];
  let text = "";
  const flush = () => {
    if (text !== "") pieces.push(text);
    text = "";
  };
  for (let at = 0; at < value.length; at++) {
    const char = value[at]!;
    const next = value[at + 1];
    if (char === "\\" && (next === "*" || next === "?" || next === "\\")) {
      text += next;
      at++;
    } else if (char === "*" || char === "?") {
      flush();
      const wildcard = char === "*" ? Wildcard.any : Wildcard.one;
      // Two stars fit what one fits.
      if (wildcard !== Wildcard.any || pieces.at(-1) !== Wildcard.any) pieces.push(wildcard);
    } else {
      text += char;
    }
  }
  flush();
  return pieces;
}

/** Returns a pattern's text. @throws TypeError when it has wildcards */
export function getPlainText(pattern: TextPattern): string {
  if (pattern.some((piece) => typeof piece !== "string"))
    throw new TypeError("a value with wildcards is no plain text");
  return pattern.join("");
}

/** Replaces each hyphen or slash that begins a word by what fits all characters that begin a parameter. */
export function withDashes(pattern: TextPattern): TextPattern {
  return pattern.flatMap((piece): TextPattern => {
    if (typeof piece !== "string") return [piece];
    const parts = piece.split(/\B([-/])\b/);
    return parts.map((part, index) => (index % 2 === 1 ? Wildcard.dash : part)).filter((part) => part !== "");
  });
}

/**
 * Makes the test whether a text fits a pattern as a whole. It takes at most the text's length times the pattern's.
 *
 * @param isCased upper and lower case differ; otherwise the test is to be given texts in lower case
 */
export function createTextTest(pattern: TextPattern, isCased: boolean): (text: string) => boolean {
  const pieces = isCased ? pattern : pattern.map((piece) => (typeof piece === "string" ? piece.toLowerCase() : piece));
  const [first, second, third] = pieces;
  if (pieces.length === 0) return (text) => text === "";
  if (pieces.length === 1 && typeof first === "string") return (text) => text === first;
  if (pieces.length === 1 && first === Wildcard.any) return () => true;
  if (pieces.length === 2 && first === Wildcard.any && typeof second === "string")
    return (text) => text.endsWith(second);
  if (pieces.length === 2 && typeof first === "string" && second === Wildcard.any)
    return (text) => text.startsWith(first);
  if (pieces.length === 3 && first === Wildcard.any && typeof second === "string" && third === Wildcard.any)
    return (text) => text.includes(second);
  const atoms = pieces.flatMap((piece): TextPattern => (typeof piece === "string" ? [...piece] : [piece]));
  return (text) => fits([...text], atoms);
}

/** Steps through both; where they part, the last "any" takes one character more. */
function fits(text: readonly string[], atoms: readonly (string | Wildcard)[]): boolean {
  let [at, atom, lastAny, restart] = [0, 0, -1, 0];
  while (at < text.length) {
    const wanted = atoms[atom];
    if (wanted === Wildcard.any) {
      lastAny = atom++;
      restart = at;
    } else if (wanted !== undefined && fitsOne(text[at]!, wanted)) {
      at++;
      atom++;
    } else if (lastAny >= 0) {
      atom = lastAny + 1;
      at = ++restart;
    } else {
      return false;
    }
  }
  while (atoms[atom] === Wildcard.any) atom++;
  return atom === atoms.length;
}

function fitsOne(char: string, wanted: string | Wildcard): boolean {
  if (wanted === Wildcard.one) return true;
  return wanted === Wildcard.dash ? DASHES.has(char) : char === wanted;
}
