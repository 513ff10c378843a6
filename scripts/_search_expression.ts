/** Reads regular expressions over bytes, for memory_search: what a deterministic automaton can find in a stream. */

/** A set of bytes, or expressions one behind the other, in the place of each other, or several times. */
export type Expression =
  | { readonly kind: "bytes"; readonly bytes: ReadonlySet<number> }
  | { readonly kind: "sequence"; readonly parts: readonly Expression[] }
  | { readonly kind: "choice"; readonly parts: readonly Expression[] }
  | { readonly kind: "repeat"; readonly part: Expression; readonly least: number; readonly most: number };

/** Further repetitions of {m,n} make automata that are too large anyway. */
const MOST_REPETITIONS = 1000;

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const DIGITS = range(0x30, 0x39);
const WORD = [...DIGITS, ...range(0x41, 0x5a), ...range(0x61, 0x7a), 0x5f];
const SPACE = [...range(9, 13), 0x20];
const CLASSES: Readonly<Record<string, readonly number[]>> = { d: DIGITS, w: WORD, s: SPACE };
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 };

/** Makes the set of all other bytes. */
function invert(bytes: Iterable<number>): Set<number> {
  const inverted = new Set(range(0, 255));
  for (const byte of bytes) inverted.delete(byte);
  return inverted;
}

/** Makes an expression of some bytes. */
export function createBytes(bytes: Iterable<number>): Expression {
  return { kind: "bytes", bytes: new Set(bytes) };
}

/** Makes an expression that both cases of the letters A to Z fit. */
export function foldCase(expression: Expression): Expression {
  if (expression.kind === "repeat") return { ...expression, part: foldCase(expression.part) };
  if (expression.kind !== "bytes") return { ...expression, parts: expression.parts.map(foldCase) };
  return createBytes(foldBytes(expression.bytes));
}

function foldBytes(bytes: ReadonlySet<number>): number[] {
  const isLetter = (byte: number): boolean => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
  return [...bytes].flatMap((byte) => (isLetter(byte) ? [byte, byte ^ 0x20] : [byte]));
}

/**
 * Reads a regular expression: characters, `.`, classes, `\d \w \s` and their opposites, `\xHH`, groups, `|`, `* + ? {m,n}`. Characters above
 * U+007F stand for their bytes in UTF-8.
 *
 * @param isCaseIgnored whether the letters A to Z stand for both cases
 * @throws Error that names what is not known, with its place
 */
export function readExpression(text: string, isCaseIgnored = false): Expression {
  const expression = new ExpressionReader(text, isCaseIgnored).read();
  return isCaseIgnored ? foldCase(expression) : expression;
}

class ExpressionReader {
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly isCaseIgnored: boolean,
  ) {}

  read(): Expression {
    const expression = this.#readChoice();
    if (this.#at < this.text.length) this.#refuse(") closes nothing");
    return expression;
  }

  #readChoice(): Expression {
    const parts = [this.#readSequence()];
    while (this.#take("|")) parts.push(this.#readSequence());
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  #readSequence(): Expression {
    const parts: Expression[] = [];
    while (this.#at < this.text.length && !/[|)]/.test(this.text[this.#at]!)) parts.push(this.#readRepeated());
    return { kind: "sequence", parts };
  }

  #readRepeated(): Expression {
    let part = this.#readOne();
    for (;;) {
      const [found, least, comma, most] = /^\{(\d+)(,?)(\d*)\}/.exec(this.text.slice(this.#at)) ?? [];
      if (found !== undefined) {
        this.#at += found.length;
        const low = Number(least);
        const high = comma === "" ? low : most === "" ? Infinity : Number(most);
        if (high < low || low > MOST_REPETITIONS || (high > MOST_REPETITIONS && high !== Infinity)) {
          this.#refuse(`${found} repeats from ${low} to ${high} times; ${MOST_REPETITIONS} are the most`);
        }
        part = { kind: "repeat", part, least: low, most: high };
      } else if (this.#take("*")) part = { kind: "repeat", part, least: 0, most: Infinity };
      else if (this.#take("+")) part = { kind: "repeat", part, least: 1, most: Infinity };
      else if (this.#take("?")) part = { kind: "repeat", part, least: 0, most: 1 };
      else return part;
    }
  }

  #readOne(): Expression {
    if (this.#take("(")) {
      if (this.#take("?") && !this.#take(":")) this.#refuse("of groups with ? there is only (?:");
      const part = this.#readChoice();
      if (!this.#take(")")) this.#refuse("a group has no )");
      return part;
    }
    if (this.#take("[")) return createBytes(this.#readClass());
    if (this.#take(".")) return createBytes(invert([10]));
    const character = String.fromCodePoint(this.text.codePointAt(this.#at)!);
    if (/[*+?^$]/.test(character)) this.#refuse(`${character} stands for nothing here; write \\${character}`);
    if (character === "\\") return createBytes(this.#readEscape());
    this.#at += character.length;
    const parts = [...new TextEncoder().encode(character)].map((byte) => createBytes([byte]));
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
  }

  #readClass(): Set<number> {
    const isInverted = this.#take("^");
    const bytes = new Set<number>();
    for (let isFirst = true; isFirst || this.text[this.#at] !== "]"; isFirst = false) {
      const from = this.#readMember();
      const isRange = this.text[this.#at] === "-" && this.text[this.#at + 1] !== "]";
      if (!isRange || from.size > 1) {
        for (const byte of from) bytes.add(byte);
        continue;
      }
      this.#at++;
      const [[low], [high]] = [[...from], [...this.#readMember()]] as [[number], [number]];
      if (high < low) this.#refuse("a range of a class ends before it begins");
      for (const byte of range(low, high)) bytes.add(byte);
    }
    this.#at++;
    return isInverted ? invert(this.isCaseIgnored ? foldBytes(bytes) : bytes) : bytes;
  }

  #readMember(): Set<number> {
    const character = this.text[this.#at];
    if (character === undefined) this.#refuse("a class has no ]");
    if (character === "\\") return this.#readEscape();
    if (character.charCodeAt(0) > 0x7f) this.#refuse("classes are of bytes: write \\xHH");
    this.#at++;
    return new Set([character.charCodeAt(0)]);
  }

  #readEscape(): Set<number> {
    const letter = this.text[this.#at + 1] ?? "";
    this.#at += 2;
    const known = CLASSES[letter.toLowerCase()];
    if (known !== undefined) return letter === letter.toLowerCase() ? new Set(known) : invert(known);
    if (CONTROLS[letter] !== undefined) return new Set([CONTROLS[letter]]);
    if (letter === "x") {
      const digits =
        /^[\da-f]{2}/i.exec(this.text.slice(this.#at))?.[0] ?? this.#refuse("\\x has two hexadecimal digits");
      this.#at += 2;
      return new Set([Number.parseInt(digits, 16)]);
    }
    if (letter === "" || /[\w]/.test(letter) || letter.charCodeAt(0) > 0x7f) this.#refuse(`\\${letter} is not known`);
    return new Set([letter.charCodeAt(0)]);
  }

  #take(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #refuse(what: string): never {
    throw new Error(`${what} (at character ${this.#at + 1} of the expression ${JSON.stringify(this.text)})`);
  }
}
