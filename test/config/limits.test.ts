import assert from "node:assert/strict";
import { test } from "node:test";
import { CancelledError, TimeLimitError } from "../../src/config/errors";
import { callAsyncWithin, callWithin, waitAtMost } from "../../src/config/limits";

const NEVER = new Promise<never>(() => undefined);

test("a function within another function's limit has a limit of its own", () => {
  const inner = (): string => {
    assert.throws(
      () =>
        callWithin(20, () => {
          for (;;);
        }),
      /^TimeLimitError: did not return within 0.02 s and was cut off$/,
    );
    return "went on";
  };
  assert.equal(callWithin(5000, inner), "went on");
});

test("waiting for a promise ends when it settles, when the time is over, or when it is cancelled", async () => {
  assert.equal(await waitAtMost(Promise.resolve(), 5000), "settled");
  assert.equal(await waitAtMost(NEVER, 5), "late");
  assert.equal(await waitAtMost(NEVER, 5000, AbortSignal.abort()), "aborted");
  const control = new AbortController();
  setTimeout(() => control.abort(), 5);
  assert.equal(await waitAtMost(NEVER, 5000, control.signal), "aborted");
  await assert.rejects(waitAtMost(Promise.reject(new TypeError("as it was")), 5000), TypeError);
});

test("a call that is given up learns it from its signal, and its later failure harms nobody", async () => {
  let given: AbortSignal | undefined;
  const hang = (signal: AbortSignal) => {
    given = signal;
    return new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(new Error("late failure"))));
  };
  await assert.rejects(callAsyncWithin("the call", 5, undefined, hang), {
    name: "TimeLimitError",
    code: "REBOX_TIME_LIMIT",
    message: "the call has not ended within 5 ms",
  });
  assert.ok(given?.reason instanceof TimeLimitError);
  const control = new AbortController();
  const cancelled = callAsyncWithin("the call", 5000, control.signal, hang);
  setImmediate(() => control.abort());
  await assert.rejects(cancelled, CancelledError);
  await assert.rejects(callAsyncWithin("the call", 5000, AbortSignal.abort(), hang), /the call was cancelled/);
});

test("a call that ends in time gives its result, or its own error", async () => {
  assert.equal(await callAsyncWithin("the call", 5000, undefined, () => 42), 42);
  const fail = () => {
    throw new TypeError("as it was");
  };
  await assert.rejects(callAsyncWithin("the call", 5000, undefined, fail), TypeError);
});
