import assert from "node:assert/strict";
import { test } from "node:test";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";

const ENABLED = ["[console]", "enabled = yes"];

test("the serial console is recorded from the machine's start to the end of the analysis", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("echo before");
    const analysis = await startModules(lab, ENABLED, guest);
    await execute("echo between; printf '\\033[31mred\\033[0m\\n'");
    await stopModules(analysis);
    await execute("echo after");
    assert.deepEqual([analysis.log, analysis.status("console").errors], [[], []]);
    const written = lab.read("state/g/console.log");
    const recorded = analysis.read("console.log");
    assert.equal(recorded, written.slice(0, recorded.length));
    assert.match(recorded, /^before\r?$[^]*^between\r?$[^]*\[31mred/m);
    assert.doesNotMatch(recorded, /after/);
  });
});

test("a guest that writes without end does not fill the disk", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    const analysis = await startModules(lab, [...ENABLED, "most_bytes = 2000"], guest);
    await execute("dd if=/dev/zero bs=1000 count=5 2> /dev/null | tr '\\0' x");
    await stopModules(analysis);
    assert.equal(analysis.read("console.log").length, 2000);
    assert.deepEqual(analysis.log, ["warn: console: the console has written more than 2000 bytes (most_bytes)"]);
  });
});
