import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteBudget } from "../../src/guest/artefacts/byte-budget";

test("bytes are there at once up to the most, and then as many as come back in time", () => {
  let nowMs = 1_000;
  const budget = new ByteBudget(100, 10, () => nowMs);
  assert.deepEqual([budget.take(60), budget.take(41), budget.take(40), budget.take(1)], [true, false, true, false]);
  nowMs += 2_000;
  assert.deepEqual([budget.take(21), budget.take(20), budget.take(1)], [false, true, false]);
  // Never more than the most, however long nothing is taken.
  nowMs += 3_600_000;
  assert.deepEqual([budget.take(101), budget.take(100)], [false, true]);
  assert.ok(budget.take(0));
});
