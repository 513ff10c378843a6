import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestProgress, sumOfRound } from "./guest-progress";
import { SoakRun } from "./soak-run";

const SECONDS = 60;

test(`a busy guest stands ${SECONDS} seconds of random callbacks, and all counts agree`, async () => {
  const seed = 1 + Math.floor(Math.random() * 0xffffffff);
  const { audits, events, violations, summary } = await new SoakRun({ seconds: SECONDS, seed }).run();
  assert.deepEqual(violations, [], summary);
  assert.ok(audits >= 10 && events > 0, summary);
});

test("a wrong sum, a round left out and an error of the guest are noticed", () => {
  const line = (round: bigint, sum: bigint) => `rebox-guest: soak.0=${round} 0x${sum.toString(16)} ${round * 512n}\r\n`;
  const progress = new GuestProgress();
  progress.update(line(64n, sumOfRound(0, 64n)));
  assert.deepEqual(progress.errors, []);
  progress.update(line(64n, sumOfRound(0, 64n)) + line(128n, 1n));
  assert.deepEqual(progress.errors, ["worker 0 has a wrong sum in round 128"]);
  progress.update(line(64n, sumOfRound(0, 64n)) + line(128n, 1n) + line(256n, sumOfRound(0, 256n)));
  assert.equal(progress.errors[1], "worker 0 is at round 256 after 128");
  // What Linux says on its console when it dies.
  const dying = new GuestProgress();
  dying.update("[ 1.0] Kernel panic - not syncing: fatal\n");
  assert.equal(dying.errors.length, 1);
});
