import { SigmaSyntaxError } from "../../errors";
import type { EventTest } from "./event";
import { createTextTest, parseTextPattern } from "./text-pattern";

/** Deeper parentheses are a mistake, or an attempt on the stack. */
const DEEPEST = 64;
const LONGEST = 10_000;

/**
 * Reads a rule's condition: names of its searches, `not`, `and`, `or` (in this order of strength), parentheses, and
 * `1 of PATTERN`, `all of PATTERN`, `1 of them`, `all of them`.
 *
 * @param searches the rule's searches by name; a name that begins with an underscore is not among "them"
 * @throws SigmaSyntaxError
 */
export function parseCondition(text: string, searches: ReadonlyMap<string, EventTest>): EventTest {
  return new ConditionParser(text, searches).parse();
}

class ConditionParser {
  readonly #words: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(
    private readonly text: string,
    private readonly searches: ReadonlyMap<string, EventTest>,
  ) {
    if (text.length > LONGEST) throw new SigmaSyntaxError(`the condition has more than ${LONGEST} characters`);
    if (text.includes("|")) throw new SigmaSyntaxError(`an aggregation ("| ...") in the condition is not supported`);
    this.#words = text.match(/[()]|[^\s()]+/g) ?? [];
  }

  parse(): EventTest {
    const test = this.#parseOr();
    const rest = this.#words[this.#at];
    if (rest !== undefined) throw this.#refuse(`"${rest}" is not expected here`);
    return test;
  }

  #parseOr(): EventTest {
    const tests = [this.#parseAnd()];
    while (this.#take("or")) tests.push(this.#parseAnd());
    return combine(tests, "some");
  }

  #parseAnd(): EventTest {
    const tests = [this.#parseNot()];
    while (this.#take("and")) tests.push(this.#parseNot());
    return combine(tests, "every");
  }

  #parseNot(): EventTest {
    let isNegated = false;
    while (this.#take("not")) isNegated = !isNegated;
    const test = this.#parseOne();
    return isNegated ? (event) => !test(event) : test;
  }

  #parseOne(): EventTest {
    const word = this.#words[this.#at++];
    if (word === undefined) throw this.#refuse("it ends too early");
    if (word === "(") {
      if (++this.#depth > DEEPEST) throw this.#refuse(`more than ${DEEPEST} parentheses in each other`);
      const test = this.#parseOr();
      if (!this.#take(")")) throw this.#refuse("a parenthesis is not closed");
      this.#depth--;
      return test;
    }
    if (this.#words[this.#at]?.toLowerCase() === "of") return this.#parseQuantity(word);
    const test = this.searches.get(word);
    if (test === undefined) {
      throw this.#refuse(`the detection has no search "${word}"; it has ${[...this.searches.keys()].join(", ")}`);
    }
    return test;
  }

  #parseQuantity(word: string): EventTest {
    this.#at++;
    const pattern = this.#words[this.#at++];
    if (pattern === undefined) throw this.#refuse(`"${word} of" is followed by nothing`);
    const found = [...this.searches].filter(([name]) => fitsName(name, pattern)).map(([, test]) => test);
    if (found.length === 0) throw this.#refuse(`no search fits "${pattern}"`);
    const quantity = word.toLowerCase();
    if (quantity === "all") return combine(found, "every");
    if (quantity === "any" || quantity === "1") return combine(found, "some");
    const least = /^[1-9]\d{0,3}$/.test(quantity) ? Number(quantity) : undefined;
    if (least === undefined) throw this.#refuse(`"${word} of" is no quantity: 1, any, all, or a number`);
    return (event) => found.filter((test) => test(event)).length >= least;
  }

  #take(word: string): boolean {
    if (this.#words[this.#at]?.toLowerCase() !== word) return false;
    this.#at++;
    return true;
  }

  #refuse(reason: string): SigmaSyntaxError {
    return new SigmaSyntaxError(`the condition "${this.text.slice(0, 200)}": ${reason}`);
  }
}

function fitsName(name: string, pattern: string): boolean {
  if (pattern.toLowerCase() === "them") return !name.startsWith("_");
  return createTextTest(parseTextPattern(pattern), true)(name);
}

function combine(tests: readonly EventTest[], how: "some" | "every"): EventTest {
  if (tests.length === 1) return tests[0]!;
  return how === "some" ? (event) => tests.some((test) => test(event)) : (event) => tests.every((test) => test(event));
}
