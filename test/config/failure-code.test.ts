import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { TimeLimitError } from "../../src/config/errors";
import { findCode, findFailureCode, isDiskFull } from "../../src/config/failure-code";
import { AnalysisError, GoldenStateError, GuestGoneError, MachineActionError, MachineUnserviceableError, ProgramError, TargetRefusedError } from "../../src/lab/errors"; // prettier-ignore

/** A file system without a free block (proc(5)). */
const FULL = "/proc";

const broken = new GuestGoneError("the console is gone");
const system = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });

test("the code of an error is its own, and where that says least, that of its cause", () => {
  const endless: { code?: string; cause?: unknown } = {};
  endless.cause = endless;
  for (const [error, code] of [
    [new TargetRefusedError(8), "REBOX_TARGET_REFUSED"],
    [new AnalysisError("a clock must be a time"), "REBOX_ANALYSIS"],
    [new AnalysisError("the machine is gone", { cause: broken }), "REBOX_GUEST_GONE"],
    [new MachineActionError("the content of ram has changed", "REBOX_GOLDEN_STATE"), "REBOX_GOLDEN_STATE"],
    [new MachineActionError("it failed"), "REBOX_ANALYSIS"],
    [new Error("fetch failed", { cause: system }), "EPIPE"],
    [new Error("a word"), undefined],
    [endless, undefined],
    ["a text", undefined],
    [null, undefined],
  ] as const) {
    assert.equal(findCode(error), code, String(error));
    assert.equal(findFailureCode(error, tmpdir()), code, String(error));
  }
});

test("a failure on a full disk has the code of that only where its own says nothing of the cause", () => {
  const known = [
    new TargetRefusedError(8),
    new AnalysisError("targets can be given to Linux guests only"),
    new MachineUnserviceableError("no machine fits"),
    new GoldenStateError("the content of ram has changed"),
  ];
  for (const error of known) assert.equal(findFailureCode(error, FULL), error.code);
  const unknown = [
    new Error("database or disk is full"),
    new ProgramError("qemu-img: error while writing: No space left on device", ""),
    new AnalysisError("the machine is gone: QEMU has ended", { cause: broken }),
    new TimeLimitError("the start of the machine has not ended within 1 ms"),
    system,
  ];
  for (const error of unknown) assert.equal(findFailureCode(error, FULL), "ENOSPC", error.message);
  assert.ok(isDiskFull({ code: findFailureCode(Object.assign(new Error("full"), { code: "EDQUOT" }), tmpdir()) }));
});
