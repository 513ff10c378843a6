import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseNamedValues, quoteValue } from "../../src/config/named-values";

const pairs = (text: string) => {
  const parsed = parseNamedValues(text);
  return "wrong" in parsed ? parsed : parsed.map(({ name, value }) => [name, value]);
};

test("commas separate; quotes and backslashes keep one in a value, and nothing else means anything", () => {
  assert.deepEqual(pairs("memory=yes,free=no"), [["memory", "yes"], ["free", "no"]]); // prettier-ignore
  assert.deepEqual(pairs('human_instructions=type:"a,b" stop,x=1'), [["human_instructions", 'type:"a,b" stop'], ["x", "1"]]); // prettier-ignore
  assert.deepEqual(pairs("arguments='-a,-b'"), [["arguments", "-a,-b"]]);
  assert.deepEqual(pairs(String.raw`arguments=-a\,-b,x=2`), [["arguments", "-a,-b"], ["x", "2"]]); // prettier-ignore
  assert.deepEqual(pairs(String.raw`path=C:\temp\x,dir=D:\\,last=E:\ `), [["path", "C:\\temp\\x"], ["dir", "D:\\"], ["last", "E:\\"]]); // prettier-ignore
  assert.deepEqual(pairs("note=don't, other = 'tis , empty="), [["note", "don't"], ["other", "'tis"], ["empty", ""]]); // prettier-ignore
  assert.deepEqual(pairs(String.raw`a=' \'x\', ' , b="q",c=\"q\"`), [["a", " 'x', "], ["b", "q"], ["c", '"q"']]); // prettier-ignore
  assert.deepEqual(pairs(`a="open,b=1`), [["a", '"open'], ["b", "1"]]); // prettier-ignore
});

test("a pair that is none is told with its text", () => {
  for (const [text, wrong] of [["x", "x"], ["a=1,,b=2", ",b=2"], ["a=1,", ""], ["a=1, b ,c=3", "b ,c=3"], ["=1", "=1"]]) {
    assert.deepEqual(pairs(text!), { wrong });
  } // prettier-ignore
});

const piece = fc.oneof(fc.constantFrom(",", "'", '"', "\\", "\\,", " ", "=", "a=b", "\n", "-a"), fc.string({ maxLength: 4 })); // prettier-ignore
const value = fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(""));
const name = fc.stringMatching(/^[\w.-]{1,8}$/);

test("a list of quoted values is read as these values, whatever they hold", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 4 }), (list) => {
      const text = list.map(([key, each]) => `${key}=${quoteValue(each)}`).join(", ");
      assert.deepEqual(pairs(text), list, text);
    }),
    { numRuns: 100_000 },
  );
});

test("any text is read or refused; nothing of it is lost but blanks, quotes, backslashes and the commas between pairs", () => {
  const bare = (text: string) => text.replaceAll(/[\s'"\\,]/g, "");
  fc.assert(
    fc.property(fc.array(fc.oneof(value, fc.constantFrom("x=", ",y=", ", z = ")), { maxLength: 6 }), (parts) => {
      const text = parts.join("");
      const read = parseNamedValues(text);
      if ("wrong" in read) assert.ok(text.endsWith(read.wrong) || text.trimEnd().endsWith(read.wrong));
      else assert.equal(read.map((pair) => `${pair.name}=${bare(pair.value)}`).join(""), bare(text));
    }),
    { numRuns: 100_000 },
  );
});
