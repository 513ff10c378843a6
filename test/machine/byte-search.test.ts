import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadAddon } from "../../src/machine/engine/load-addon";
import { BytePattern } from "../../src/systems/memory/search/byte-pattern";
import { SearchWindow } from "../../src/systems/memory/search/search-pattern";

const RUNS = 100_000;

/** The first place from `from` on, byte by byte. */
function findPlainly(bytes: Uint8Array, pattern: Uint8Array, from: number): number {
  for (let at = from; at + pattern.length <= bytes.length; at++) {
    let same = 0;
    while (same < pattern.length && bytes[at + same] === pattern[same]) same++;
    if (same === pattern.length) return at;
  }
  return -1;
}

/** Few different bytes, so that patterns nearly match; common ones of memory, and any. */
const byte = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0, 1) },
  { weight: 2, arbitrary: fc.constantFrom(0, 0x48, 0x61, 0xff) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
);
const bytesOf = (maxLength: number, minLength = 0) =>
  fc.array(byte, { minLength, maxLength, size: "max" }).map((list) => Uint8Array.from(list));

/** Memory, a pattern that is often a piece of it, or a piece with one byte changed, and where to begin. */
const inputs = fc
  .tuple(
    bytesOf(150),
    bytesOf(40, 1),
    fc.nat(200),
    fc.nat(40),
    fc.nat(3),
    byte,
    fc.oneof(fc.constant(0), fc.nat(160)),
    fc.nat(17),
  )
  .map(([memory, other, at, size, kind, changed, from, offset]) => {
    const piece = memory.slice(at, at + size + 1);
    if (kind === 1 && piece.length > 0) piece[size % piece.length] = changed;
    // Memory begins at any address, not only at a multiple of 16.
    const whole = new Uint8Array(memory.length + offset);
    whole.set(memory, offset);
    return { memory: whole.subarray(offset), pattern: kind === 0 || piece.length === 0 ? other : piece, from };
  });

test(`${RUNS} generated patterns are found natively where a search byte by byte finds them`, () => {
  const { findBytes } = loadAddon();
  let found = 0;
  fc.assert(
    fc.property(inputs, ({ memory, pattern, from }) => {
      const place = findPlainly(memory, pattern, from);
      assert.equal(findBytes(memory, pattern, from), place);
      if (place >= 0) found++;
    }),
    { numRuns: RUNS },
  );
  assert.ok(found > RUNS / 20 && found < RUNS * 0.95, `${found} were found`);
});

test("patterns at the ends, longer than the memory, or from beyond it, are found as they should be", () => {
  const { findBytes } = loadAddon();
  const memory = Uint8Array.from({ length: 64 }, (_, index) => index);
  for (let size = 1; size <= 64; size++) {
    assert.equal(findBytes(memory, memory.subarray(64 - size), 0), 64 - size);
    assert.equal(findBytes(memory, memory.subarray(0, size), 0), 0);
    assert.equal(findBytes(memory, memory.subarray(0, size), 1), -1);
  }
  assert.equal(findBytes(memory, new Uint8Array(65), 0), -1);
  assert.equal(findBytes(memory, Uint8Array.of(63), 63), 63);
  for (const from of [64, 65, 2 ** 40, -1]) assert.equal(findBytes(memory, Uint8Array.of(63), from), -1);
});

test(`${RUNS} generated texts are read as bytes, or refused, by one rule; what is read finds itself`, () => {
  const text = fc.oneof(
    { weight: 6, arbitrary: bytesOf(20, 1).map((bytes) => Buffer.from(bytes).toString("hex")) },
    { weight: 2, arbitrary: bytesOf(20).map((bytes) => Buffer.from(bytes).toString("hex").toUpperCase().slice(1)) },
    { weight: 1, arbitrary: fc.string({ maxLength: 12, unit: fc.constantFrom(..."0123456789abcdefABCDEFgx ?*-\n") }) },
    { weight: 1, arbitrary: fc.string({ maxLength: 12, unit: "binary" }) },
  );
  fc.assert(
    fc.property(text, bytesOf(30), (source, before) => {
      const digits = [...source].map((digit) => "0123456789abcdef".indexOf(digit.toLowerCase()));
      const isRight = source.length > 0 && source.length % 2 === 0 && digits.every((digit) => digit >= 0);
      let pattern: BytePattern;
      try {
        pattern = BytePattern.parse(source);
      } catch (error) {
        assert.ok(error instanceof RangeError && error.message.includes(source));
        assert.ok(!isRight, "refused");
        return;
      }
      assert.ok(isRight, "accepted");
      const values = digits.flatMap((digit, at) => (at % 2 === 0 ? [digit * 16 + digits[at + 1]!] : []));
      assert.deepEqual([...pattern.bytes], values);
      const memory = Buffer.concat([before, pattern.bytes]);
      assert.equal(pattern.find(new SearchWindow(memory)), findPlainly(memory, pattern.bytes, 0));
    }),
    { numRuns: RUNS },
  );
});
