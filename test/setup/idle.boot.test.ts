import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { PROJECT } from "../kit/project";

const MAIN = join(PROJECT, "native/setup/main.mjs");

function setUp(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("set-up with nothing to do is silent: no step is done again", () => {
  // These tests run after set-up, for the build that they run with.
  const { status, stdout, stderr } = setUp("--for", process.env.REBOX_BUILD === "asan" ? "sanitize" : "test");
  // A kit that could not be fetched, without a network for example, is tried again each time, and says that it is left out.
  const leftOut = [...stderr.matchAll(/^(\S+): left out: /gm)].map(([, step]) => step!);
  const others = (text: string): string[] =>
    text.split("\n").filter((line) => line !== "" && !leftOut.some((step) => line.startsWith(`${step}: `)));
  assert.deepEqual({ status, stdout: others(stdout), stderr: others(stderr) }, { status: 0, stdout: [], stderr: [] });
});

test("an unknown purpose is refused with the choices", () => {
  const { status, stderr } = setUp("--for", "breakfast");
  assert.equal(status, 1);
  assert.match(stderr, /demo, package, test, soak, bench, drgn, sanitize, guest/);
});

test("an unknown option is refused without a stack trace", () => {
  const { status, stderr } = setUp("--breakfast");
  assert.equal(status, 1);
  assert.match(stderr, /^set-up: Unknown option '--breakfast'/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});
