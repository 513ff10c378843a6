import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseJobs, divideRecording } from "../../src/guest/breakpoints/past-parts";

test("a recording is divided into parts that become shorter, since a later one is reached later", () => {
  assert.deepEqual(divideRecording(1_000_000, 1), [0]);
  // 5 parts of 9 and 4 of 9: the second begins after 5, and each of its own takes 5 times as long.
  assert.deepEqual(divideRecording(900, 2), [0, 500]);
  const begins = divideRecording(10_000_000_000, 4);
  const lengths = begins.map((begin, index) => (begins[index + 1] ?? 10_000_000_000) - begin);
  const times = lengths.map((length, index) => begins[index]! + 5 * length);
  assert.ok(Math.max(...times) - Math.min(...times) < 100, times.join());
});

test("a short recording is looked through by one process", () => {
  assert.equal(chooseJobs(1_000_000_000), 1);
  const jobs = chooseJobs(100_000_000_000);
  assert.ok(jobs >= 1 && jobs <= 4);
});
