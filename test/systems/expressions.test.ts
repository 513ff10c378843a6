import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SearchWindow } from "../../src/systems/memory/search/search-pattern";
import { TextPattern } from "../../src/systems/memory/search/text-pattern";

/** REBOX_TEST_EXPRESSIONS=100000 takes a minute. */
const RUNS = Number(process.env.REBOX_TEST_EXPRESSIONS ?? 1_000);

/** A regular expression: its text, and its meaning as the places behind its matches that begin at a place. */
interface Expression {
  readonly text: string;
  readonly isAscii: boolean;
  ends(memory: Uint8Array, at: number, ignoresCase: boolean): Set<number>;
}

type ByteTest = (byte: number) => boolean;

const between = (first: string, last: string): ByteTest => {
  const [low, high] = [first.charCodeAt(0), last.charCodeAt(0)];
  return (byte) => byte >= low && byte <= high;
};
const anyOf =
  (...tests: ByteTest[]): ByteTest =>
  (byte) =>
    tests.some((one) => one(byte));
const isDigit = between("0", "9");
const isUpper = between("A", "Z");
const isLower = between("a", "z");
const isAlpha = anyOf(isUpper, isLower);
const isAlnum = anyOf(isAlpha, isDigit);
const isGraph = between("!", "~");

/** The classes of POSIX, by isalpha(3) in the C locale. */
const CLASSES: Readonly<Record<string, ByteTest>> = {
  alnum: isAlnum,
  alpha: isAlpha,
  ascii: (byte) => byte < 0x80,
  blank: (byte) => byte === 0x20 || byte === 0x09,
  cntrl: (byte) => byte < 0x20 || byte === 0x7f,
  digit: isDigit,
  graph: isGraph,
  lower: isLower,
  print: (byte) => isGraph(byte) || byte === 0x20,
  punct: (byte) => isGraph(byte) && !isAlnum(byte),
  space: (byte) => byte === 0x20 || (byte >= 9 && byte <= 13),
  upper: isUpper,
  word: (byte) => isAlnum(byte) || byte === 0x5f,
  xdigit: anyOf(isDigit, between("a", "f"), between("A", "F")),
};

function oneByte(text: string, isWanted: ByteTest, isNegated = false): Expression {
  const swap = (byte: number) => (isAlpha(byte) ? byte ^ 0x20 : byte);
  return {
    text,
    isAscii: true,
    ends(memory, at, ignoresCase) {
      const byte = memory[at];
      if (byte === undefined) return new Set();
      const fits = isWanted(byte) || (ignoresCase && isWanted(swap(byte)));
      return new Set(fits === isNegated ? [] : [at + 1]);
    },
  };
}

function sequence(pieces: readonly Expression[]): Expression {
  return {
    text: pieces.map(({ text }) => text).join(""),
    isAscii: pieces.every(({ isAscii }) => isAscii),
    ends: (memory, at, ignoresCase) =>
      pieces.reduce(
        (places, piece) => new Set([...places].flatMap((place) => [...piece.ends(memory, place, ignoresCase)])),
        new Set([at]),
      ),
  };
}

function choice(ways: readonly Expression[]): Expression {
  return {
    text: `(?:${ways.map(({ text }) => text).join("|")})`,
    isAscii: ways.every(({ isAscii }) => isAscii),
    ends: (memory, at, ignoresCase) => new Set(ways.flatMap((way) => [...way.ends(memory, at, ignoresCase)])),
  };
}

function repeat(inner: Expression, sign: string, least: number, most: number): Expression {
  return {
    text: `(?:${inner.text})${sign}`,
    isAscii: inner.isAscii,
    ends(memory, at, ignoresCase) {
      const found = new Set<number>(least === 0 ? [at] : []);
      let places = new Set([at]);
      // Beyond as many times as there are bytes nothing is new.
      for (let times = 1; times <= Math.min(most, memory.length + least + 1); times++) {
        places = new Set([...places].flatMap((place) => [...inner.ends(memory, place, ignoresCase)]));
        if (times >= least) for (const place of places) found.add(place);
      }
      return found;
    },
  };
}

const SPECIAL = "\\^$.|?*+()[]{}/";

/** A character as it is, or escaped where it has to be, and sometimes where it need not. */
const literal = fc
  .tuple(fc.constantFrom(..."aAzZQECpPU<:-,=!b1 ~\\([?.*é€😀"), fc.boolean())
  .map(([character, isEscaped]): Expression => {
    const isSpecial = SPECIAL.includes(character);
    const mayBeEscaped = !/[a-zA-Z0-9<]/.test(character);
    const text = isSpecial || (isEscaped && mayBeEscaped) ? `\\${character}` : character;
    const bytes = [...Buffer.from(character)];
    const pieces = bytes.map((byte) => oneByte("", (other) => other === byte));
    return { ...sequence(pieces), text, isAscii: bytes.length === 1 };
  });

const className = fc.constantFrom(...Object.keys(CLASSES));
const item = fc.oneof(
  className.map((name) => ({ text: `[:${name}:]`, isWanted: CLASSES[name]! })),
  fc.constantFrom(..."abZ:[(?P<&~\\]^-").map((character) => ({
    text: "\\]^-".includes(character) ? `\\${character}` : character,
    isWanted: (byte: number) => byte === character.charCodeAt(0),
  })),
  fc.constant({ text: "b-y", isWanted: between("b", "y") }),
);
const bracket = fc
  .tuple(fc.boolean(), fc.array(item, { minLength: 1, maxLength: 3 }))
  // "[" and ":" side by side would be the begin of a class.
  .filter(([, items]) => !/\[(?!:\w+:\])/.test(items.map(({ text }) => text).join("")))
  .map(([isNegated, items]) => {
    const text = `[${isNegated ? "^" : ""}${items.map((one) => one.text).join("")}]`;
    return oneByte(text, anyOf(...items.map(({ isWanted }) => isWanted)), isNegated);
  });
/** Without brackets around it, a class is the characters of its name. */
const bare = className.map((name) => oneByte(`[:${name}:]`, (byte) => `:${name}`.includes(String.fromCharCode(byte))));
const dot = fc.constant(oneByte(".", (byte) => byte !== 10 && byte !== 13));

const { expression } = fc.letrec<{ expression: Expression; piece: Expression }>((tie) => ({
  piece: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    { weight: 5, arbitrary: literal },
    { weight: 2, arbitrary: bracket },
    { weight: 1, arbitrary: bare },
    { weight: 1, arbitrary: dot },
    {
      weight: 2,
      arbitrary: fc
        .tuple(tie("expression"), fc.constantFrom(["*", 0, Infinity], ["+", 1, Infinity], ["?", 0, 1], ["{1,2}", 1, 2]))
        .map(([inner, [sign, least, most]]) => repeat(inner, sign as string, least as number, most as number)),
    },
    { weight: 1, arbitrary: fc.array(tie("expression"), { minLength: 2, maxLength: 3 }).map(choice) },
  ),
  expression: fc.array(tie("piece"), { minLength: 1, maxLength: 4 }).map(sequence),
}));

const byte = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...Buffer.from("aAzZQECpPU<:-,=!b1 ~\\([?.*é€😀dgit\n")) },
  { weight: 1, arbitrary: fc.nat(255) },
);
const memoryOf = fc.array(byte, { maxLength: 24, size: "max" }).map((bytes) => Uint8Array.from(bytes));

test(`${RUNS} generated expressions find in memory what a second description of them finds`, () => {
  let found = 0;
  fc.assert(
    fc.property(expression, memoryOf, fc.boolean(), (wanted, memory, wantsFlag) => {
      // Bytes of other characters than ASCII have no case.
      const ignoresCase = wantsFlag && wanted.isAscii && memory.every((one) => one < 0x80);
      const source = (ignoresCase ? "(?i)" : "") + wanted.text;
      if (wanted.ends(new Uint8Array(), 0, ignoresCase).has(0)) {
        assert.throws(() => new TextPattern(source), /matches nothing at all/);
        return;
      }
      const places = [...memory.keys()].filter((at) => wanted.ends(memory, at, ignoresCase).size > 0);
      assert.equal(new TextPattern(source).find(new SearchWindow(Buffer.from(memory))), places[0] ?? -1, source);
      if (places.length > 0) found++;
    }),
    { numRuns: RUNS },
  );
  assert.ok(found > RUNS / 10, `${found} were found`);
});

test("syntax of other languages is refused where it is syntax, and only there", () => {
  for (const source of ["\\Aroot", "a\\z", "[\\pL]", "(?P<name>x)", "\\\\\\A", "[[:nothing:]]", "[[:^alpha:]]"]) {
    assert.throws(() => new TextPattern(source), RangeError, source);
  }
  assert.throws(
    () => new TextPattern("[[:constructor:]]"),
    /there is no class \[:constructor:\]; there are alnum, alpha/,
  );
  const find = (source: string, text: string) => new TextPattern(source).find(new SearchWindow(Buffer.from(text)));
  assert.equal(find("C:\\\\Apps\\\\zip", "in C:\\Apps\\zip"), 3);
  assert.equal(find("\\(?P<", "aP<"), 1);
  assert.equal(find("gr\\ün", "ist grün"), 4);
  assert.equal(find("[:digit:]+x", "5x :gx"), 3);
});
