import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CompressedNames } from "../../src/systems/symbols/kallsyms/compressed-names";

/** Each byte stands for itself, but for some that stand for longer texts, as scripts/kallsyms.c chooses them. */
const LONG = ["do_", "T__x64_sys_", "_", "tdo", "", "init", "aaaaaaaaaaaaaaaa"];
const TOKENS = Array.from({ length: 256 }, (_, byte) => Buffer.from(LONG[byte - 200] ?? String.fromCharCode(byte), "latin1")); // prettier-ignore

/** A record: its length, in two bytes where one is not enough, and its tokens. */
function write(tokens: readonly number[]): number[] {
  return tokens.length < 0x80 ? [tokens.length, ...tokens] : [(tokens.length & 0x7f) | 0x80, tokens.length >> 7, ...tokens]; // prettier-ignore
}

const textOf = (tokens: readonly number[]) => Buffer.concat(tokens.map((token) => TOKENS[token]!)).toString("latin1");

test("a name of kallsyms is found by hash as it is when all names are decompressed, however it is compressed", () => {
  const record = fc.array(fc.oneof(fc.constantFrom(97, 98, 84), fc.integer({ min: 200, max: 206 })), { minLength: 1, maxLength: 140 }); // prettier-ignore
  const short = fc.array(fc.constantFrom(97, 200, 202, 203, 204), { minLength: 1, maxLength: 3 });
  const table = fc.array(fc.oneof(short, record), { maxLength: 60 });
  fc.assert(
    fc.property(table, fc.string(), (records, other) => {
      const names = Uint8Array.from(records.flatMap(write));
      const compressed = new CompressedNames({ names, tokens: TOKENS, count: records.length });
      const texts = records.map(textOf);
      const whole = texts.map((text) => (text.length <= 1024 ? text.slice(1) : undefined));
      texts.forEach((text, number) => {
        assert.equal(compressed.type(number), text === "" ? "\0" : text[0]);
        const name = whole[number];
        if (name === undefined) return;
        assert.equal(compressed.name(number), name);
        assert.equal(compressed.find(name), whole.indexOf(name));
        assert.deepEqual(
          compressed.findAll(name),
          whole.flatMap((each, index) => (each === name ? [index] : [])),
        );
      });
      if (!whole.includes(other)) assert.equal(compressed.find(other), undefined);
    }),
    { numRuns: 300 },
  );
});

test("names that are cut off or too long end at what there is", () => {
  const names = Uint8Array.from([...write([84, 97]), ...write(Array.from({ length: 100 }, () => 206)), 9, 84, 98]);
  const compressed = new CompressedNames({ names, tokens: TOKENS, count: 4 });
  assert.deepEqual([0, 1, 2, 3].map((number) => compressed.name(number)), ["a", "a".repeat(1023), "b", ""]); // prettier-ignore
  assert.equal(compressed.find("b"), 2);
  assert.equal(compressed.find("a".repeat(1599)), undefined);
});
