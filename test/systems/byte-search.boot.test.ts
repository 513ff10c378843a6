import assert from "node:assert/strict";
import { test } from "node:test";
import { loadAddon } from "../../src/machine/engine/load-addon";

/** A small generator with a seed, so that a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

test("the addon finds bytes where Node finds them, in memory of few and of many different bytes", () => {
  const { findBytes } = loadAddon();
  const random = createRandom(1);
  for (let turn = 0; turn < 20_000; turn++) {
    const different = [1, 2, 3, 256][random(4)]!;
    const bytes = Buffer.from(Array.from({ length: random(200) }, () => random(different)));
    const at = random(bytes.length + 1);
    const pattern = Buffer.from(bytes.subarray(at, at + 1 + random(random(2) === 0 ? 3 : 80)));
    if (pattern.length > 0 && random(3) === 0) pattern[random(pattern.length)] = random(256);
    const from = random(bytes.length + 2);
    const expected = pattern.length === 0 ? -1 : bytes.indexOf(pattern, from);
    assert.equal(findBytes(bytes, pattern, from), expected, `turn ${turn}: ${pattern.toString("hex")}`);
  }
});

test("the addon finds nothing in nothing, before the beginning or behind the end", () => {
  const { findBytes } = loadAddon();
  const bytes = Buffer.from("abc");
  assert.equal(findBytes(bytes, Buffer.from(""), 0), -1);
  assert.equal(findBytes(Buffer.from(""), bytes, 0), -1);
  assert.equal(findBytes(bytes, Buffer.from("abcd"), 0), -1);
  assert.equal(findBytes(bytes, bytes, 0), 0);
  assert.equal(findBytes(bytes, bytes, 1), -1);
  assert.equal(findBytes(bytes, bytes, -1), -1);
  assert.equal(findBytes(bytes, bytes, 2 ** 40), -1);
});
