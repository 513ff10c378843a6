import assert from "node:assert/strict";
import { test } from "node:test";
import { getSteadyTime } from "../../src/lab/analysis/steady-time";

test("the times of an analysis go on when the host's clock is set back", (context) => {
  const first = getSteadyTime();
  context.mock.method(Date, "now", () => 0);
  context.mock.timers.enable({ apis: ["Date"], now: 0 });
  assert.equal(new Date().getUTCFullYear(), 1970);
  const second = getSteadyTime();
  assert.ok(second >= first, `${first} ${second}`);
  assert.match(second, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});
