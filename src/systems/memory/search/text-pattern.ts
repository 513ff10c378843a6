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
/** Syntax of other languages that JavaScript would silently take for something else. */
const FOREIGN = /\\[AzZQECpP]|\(\?P<|\(\?U/;

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
    this.#expression = compileExpression(source, encodeText);
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
 * @param translate is given the expression without its flags
 * @throws RangeError that says what is wrong with it
 */
export function compileExpression(source: string, translate: (body: string) => string = (body) => body): RegExp {
  if (source === "") throw new RangeError("an empty expression: write what to look for");
  const [start = "", flags = ""] = /^\(\?([ims]+)\)/.exec(source) ?? [];
  const body = source.slice(start.length);
  const foreign = FOREIGN.exec(body)?.[0];
  if (foreign !== undefined) {
    throw new RangeError(`'${source}': ${foreign} means nothing here; regular expressions are those of JavaScript`);
  }
  try {
    const classes = body.replace(/\[:(\w+):\]/g, (all, name: string) => CLASSES[name] ?? all);
    return new RegExp(translate(classes), [...new Set(flags)].join(""));
  } catch (error) {
    throw new RangeError(`'${source}' is no regular expression: ${(error as Error).message}`, { cause: error });
  }
}

/** Writes characters beyond ASCII as what they are in memory. Within a class, one byte cannot stand for them. */
function encodeText(body: string): string {
  let isInClass = false;
  let isEscaped = false;
  let result = "";
  for (const character of body) {
    if ((character.codePointAt(0) as number) >= 0x80) {
      if (isInClass)
        throw new SyntaxError(`${character} is more than one byte: write (?:a|${character}) for [a${character}]`);
      const bytes = Array.from(Buffer.from(character), (byte) => `\\x${byte.toString(16)}`);
      result += `(?:${bytes.join("")})`;
      isEscaped = false;
      continue;
    }
    if (!isEscaped && character === "[") isInClass = true;
    if (!isEscaped && character === "]") isInClass = false;
    isEscaped = !isEscaped && character === "\\";
    result += character;
  }
  return result;
}
