import type { SearchPattern, SearchWindow } from "./search-pattern";

/** A match may be longer, and is found as long as it lies within a window. */
const REACH = 4096;
/** [[:alpha:]] and its siblings, which JavaScript does not have. */
const CLASSES: Readonly<Record<string, string>> = {
  ...{ alnum: "0-9A-Za-z", alpha: "A-Za-z", ascii: "\\x00-\\x7f", blank: "\\t ", cntrl: "\\x00-\\x1f\\x7f" },
  ...{
    digit: "0-9",
    graph: "!-~",
    lower: "a-z",
    print: " -~",
    punct: "!-/:-@\\[-`{-~",
    space: "\\t-\\r ",
    upper: "A-Z",
  },
  ...{ word: "0-9A-Za-z_", xdigit: "0-9A-Fa-f" },
};
/** Escapes of other languages that JavaScript would silently take for letters. */
const FOREIGN_ESCAPES = "AzZQECpP";
/** Groups of other languages. */
const FOREIGN_GROUPS = ["(?P<", "(?U"];

/** A regular expression that memory is searched for. Each byte is a character. */
export class TextPattern implements SearchPattern {
  readonly reach = REACH;
  readonly isSlow = true;
  readonly #expression: RegExp;

  /**
   * @param source a regular expression of JavaScript. It may begin with flags, as "(?i)", and hold classes such as [[:digit:]]; other
   *   characters than ASCII stand for their bytes in UTF-8
   * @throws RangeError when it is none, or matches nothing at all
   */
  constructor(readonly source: string) {
    this.#expression = compileExpression(source, true);
    if (this.#expression.test("")) throw new RangeError(`'${source}' matches nothing at all, and so everywhere`);
  }

  find({ text }: SearchWindow): number {
    return this.#expression.exec(text)?.index ?? -1;
  }
}

/**
 * Compiles a regular expression as investigators write them: JavaScript's, with flags in front, "(?is)", and classes such as
 * [[:alpha:]].
 *
 * @param isForBytes characters beyond ASCII stand for their bytes in UTF-8
 * @throws RangeError that says what is wrong with it
 */
export function compileExpression(source: string, isForBytes = false): RegExp {
  if (source === "") throw new RangeError("an empty expression: write what to look for");
  const [start = "", flags = ""] = /^\(\?([ims]+)\)/.exec(source) ?? [];
  const body = translate(source.slice(start.length), source, isForBytes);
  try {
    return new RegExp(body, [...new Set(flags)].join(""));
  } catch (error) {
    throw new RangeError(`'${source}' is no regular expression: ${(error as Error).message}`, { cause: error });
  }
}

/** Writes an expression in JavaScript, piece by piece: an escaped character, a class such as [:alpha:], or a character. */
function translate(body: string, source: string, isForBytes: boolean): string {
  let isInClass = false;
  let result = "";
  for (const [piece] of body.matchAll(/\\[^]|\[:\^?\w*:\]|[^]/gu)) {
    const last = piece.length === 1 || piece.startsWith("[:") ? piece : piece.replace(/^\\/, "");
    if (piece.startsWith("\\") && FOREIGN_ESCAPES.includes(last)) throw refuseForeign(source, piece);
    if (piece.startsWith("[:")) {
      if (isInClass) {
        result += getClass(piece, source);
        continue;
      }
      // Outside of brackets it is a class of these characters, with a colon, as in every language.
      result += piece;
      continue;
    }
    if (isForBytes && (last.codePointAt(0) as number) >= 0x80) {
      result += encode(last, source, isInClass);
      continue;
    }
    if (!isInClass && piece === "[") isInClass = true;
    else if (isInClass && piece === "]") isInClass = false;
    result += piece;
    if (isInClass || piece.startsWith("\\")) continue;
    const group = piece === "<" || piece === "U" ? FOREIGN_GROUPS.find((one) => endsUnescaped(result, one)) : undefined;
    if (group !== undefined) throw refuseForeign(source, group);
  }
  return result;
}

/** Checks that a text ends with another one, before which stands an even number of backslashes. */
function endsUnescaped(text: string, end: string): boolean {
  if (!text.endsWith(end)) return false;
  const [slashes = ""] = /\\*$/.exec(text.slice(0, -end.length)) ?? [];
  return slashes.length % 2 === 0;
}

function refuseForeign(source: string, foreign: string): RangeError {
  return new RangeError(`'${source}': ${foreign} means nothing here; regular expressions are those of JavaScript`);
}

function getClass(piece: string, source: string): string {
  const name = piece.slice(2, -2);
  const characters = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  if (characters !== undefined) return characters;
  throw new RangeError(`'${source}': there is no class ${piece}; there are ${Object.keys(CLASSES).join(", ")}`);
}

/** Writes a character beyond ASCII as what it is in memory. Within a class, one byte cannot stand for it. */
function encode(character: string, source: string, isInClass: boolean): string {
  if (isInClass) {
    throw new RangeError(
      `'${source}' is no regular expression: ${character} is more than one byte: write (?:a|${character}) for [a${character}]`,
    );
  }
  const bytes = Array.from(Buffer.from(character), (byte) => `\\x${byte.toString(16)}`);
  return `(?:${bytes.join("")})`;
}
