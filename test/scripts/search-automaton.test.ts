import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { encodeText, ENCODINGS } from "../../scripts/_character_sets";
import { buildAutomaton } from "../../scripts/_search_automaton";
import { readExpression } from "../../scripts/_search_expression";
import { readSearch, splitQuoted } from "../../scripts/_search_patterns";

/** Steps through an automaton as the trigger does. @returns where matches end, with their patterns */
function step(automaton: Uint8Array, bytes: Uint8Array): (readonly [end: number, pattern: number])[] {
  const view = new DataView(automaton.buffer);
  const [states, classes, , accepting] = [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as [number, number, number, number]; // prettier-ignore
  const table = 16 + 256;
  const end = table + states * classes * 2;
  const patterns = new Map(
    Array.from({ length: accepting }, (_, index) => [view.getUint16(end + index * 4, true), view.getUint16(end + index * 4 + 2, true)]), // prettier-ignore
  );
  let state = 0;
  return [...bytes].flatMap((byte, index) => {
    state = view.getUint16(table + (state * classes + automaton[16 + byte]!) * 2, true);
    return patterns.has(state) ? [[index + 1, patterns.get(state)!] as const] : [];
  });
}

/** Where Node's own expressions find that a match can end, wherever it begins. */
function endsOf(source: string, flags: string, text: string): number[] {
  const whole = new RegExp(`(?:${source})$`, `s${flags}`);
  return Array.from({ length: text.length }, (_, index) => index + 1).filter((end) => whole.test(text.slice(0, end)));
}

/** Numbers that look random and are the same each time. */
function* makeRandom(seed: number): Generator<number> {
  for (let value = seed; ;) yield (value = (Math.imul(value, 1103515245) + 12345) >>> 0) >>> 16;
}

const EXPRESSIONS = [
  "abc", "a|bc", "a.c", "(ab|b)*c", "a{2,3}b", "[^a]b", "[a-c]+\\d", "\\w{3}\\s", "(?:a|ab)(c|bcd)", "a?b?c", "\\x61\\.", "(a+b){2}", "[\\]a]-",
]; // prettier-ignore

test("an automaton finds matches where Node's own regular expressions find them, in random text", () => {
  const random = makeRandom(7);
  const letters = "aabbccdAB1. -]\n";
  for (const source of EXPRESSIONS) {
    for (const flags of ["", "i"]) {
      const automaton = buildAutomaton([{ expression: readExpression(source, flags === "i"), form: "plain" }]);
      for (let round = 0; round < 20; round++) {
        const text = Array.from({ length: 40 }, () => letters[random.next().value! % letters.length]).join("");
        const found = step(automaton, Buffer.from(text, "latin1")).map(([end]) => end);
        // Here . is any byte but a line's end.
        const wanted = endsOf(source.replaceAll("\\.", "\\x2e").replaceAll(".", "[^\\n]"), flags, text);
        assert.deepEqual(found, wanted, `${source} ${flags} in ${JSON.stringify(text)}`);
      }
    }
  }
});

test("numbers of which each digit may be the first are found, though not all beginnings can be followed", () => {
  const { automaton } = readSearch("regex=4[0-9]{15}");
  const find = (text: string) => step(automaton!, Buffer.from(text)).map(([end]) => end)[0];
  assert.equal(find("card 4111111111111111, valid"), 21);
  assert.equal(find("4x44 4.4111 4444444444444444"), 28);
  assert.equal(find("411111111111111"), undefined);
});

test("between the bytes of wide characters are zeros, and a match ends with the last one that is none", () => {
  const expression = readExpression("a[bc]+d");
  const automaton = buildAutomaton([
    { expression, form: "plain" },
    { expression, form: "zero-behind" },
    { expression, form: "zero-before" },
  ]);
  assert.deepEqual(step(automaton, Buffer.from("..abcd..")), [[6, 0]]);
  assert.deepEqual(step(automaton, Buffer.from("!abcd", "utf16le")), [[9, 1]]);
  const big = Buffer.from("!abcd", "utf16le").swap16();
  // The same bytes are in both: one byte, a zero, one byte.
  assert.deepEqual(step(automaton, big), [[10, 1]]);
  const onlyBig = buildAutomaton([{ expression, form: "zero-before" }]);
  assert.deepEqual(step(onlyBig, big), [[10, 0]]);
});

test("texts are written as Python writes them in each encoding, and refused where they cannot be", () => {
  const names = { "latin1": "latin-1", "windows-1252": "cp1252", "windows-1251": "cp1251", "ibm437": "cp437", "ebcdic": "cp037" } as Record<string, string>; // prettier-ignore
  const texts = ["Password 1!", "grün €", "Пароль", "密码", "😀"];
  for (const encoding of ENCODINGS) {
    const program =
      "import sys, json\nfor text in json.loads(sys.argv[2]):\n try: print(text.encode(sys.argv[1]).hex())\n except UnicodeEncodeError: print('none')";
    const said = execFileSync("python3", ["-c", program, names[encoding] ?? encoding, JSON.stringify(texts)], {
      encoding: "utf8",
    });
    const written = texts.map((text) => {
      const bytes = encodeText(text, encoding);
      return bytes === undefined ? "none" : Buffer.from(bytes).toString("hex");
    });
    assert.deepEqual(written, said.trimEnd().split("\n"), encoding);
  }
  assert.throws(() => encodeText("a", "utf-9"), /utf-9 is not known: utf-8, utf-16le/);
});

test("words of a search name what is looked for, and a wrong one is named", () => {
  assert.deepEqual(splitQuoted('text="my \\"own\\" word" keys'), ['text=my "own" word', "keys"]);
  const { labels, hasReads, hasWrites, hasKeys, processWords } = readSearch(
    'text="a b" regex=a+ bytes="de ?d" keys reads process=x',
  );
  assert.deepEqual(labels, [
    'text="a b" (utf-8)',
    'text="a b" (utf-16le)',
    "regex=a+",
    "regex=a+ (utf-16le)",
    "bytes=de ?d",
  ]);
  assert.deepEqual([hasReads, hasWrites, hasKeys, processWords], [true, true, true, ["process=x"]]);
  // Where two encodings give the same bytes, they are one pattern.
  assert.deepEqual(readSearch("text=ab encodings=utf-8,latin1").labels, ['text="ab" (utf-8, latin1)']);
  const { automaton } = readSearch('bytes="de ?d"');
  assert.deepEqual(step(automaton!, Uint8Array.of(0xde, 0x1d, 0xde, 0xde, 0xfd, 0xde, 0x1e)), [[2, 0], [5, 0]]); // prettier-ignore
  for (const [line, message] of [
    ["", /nothing is named/],
    ["txt=a", /txt=a is not known/],
    ["text=", /the text is missing/],
    ["text=ж encodings=latin1", /cannot be written in latin1/],
    ["bytes=abc", /pairs of hexadecimal digits/],
    ["regex=(a", /a group has no \)/],
    ["regex=a)", /\) closes nothing/],
    ["regex=a\\1", /\\1 is not known/],
    ["regex=^a", /\^ stands for nothing here/],
    ["regex=(?=a)", /only \(\?:/],
    ["regex=a*", /matches nothing at all/],
    ["regex=a{3,2}", /repeats from 3 to 2 times/],
    ["regex=(a|b){900}(a|b){900}c{900}", /more than 2048 states|too large/],
    ['text="a', /a quote is not closed/],
  ] as const) {
    assert.throws(() => readSearch(line), message, line);
  }
});
