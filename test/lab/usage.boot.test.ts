import assert from "node:assert/strict";
import { test } from "node:test";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";
import { untilTrue } from "../kit/lab/lab-run";

interface Recorded {
  readonly enginePercent: number;
  readonly enginePeakBytes: number;
  readonly intervalMs: number;
  readonly samples: readonly {
    readonly time: string;
    readonly enginePercent: number;
    readonly engineBytes: number;
    readonly guestFreeBytes: number;
    readonly guestProcesses: number;
  }[];
}

const MIB = 1 << 20;

test("what the guest and its engine use is measured, as the guest's kernel says", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const analysis = await startModules(lab, ["[usage]", "enabled = yes", "interval_ms = 100"], guest);
    await execute("/bin/sleep 1");
    const idle = await execute("grep MemFree /proc/meminfo; echo tasks $(ls -d /proc/[0-9]* | wc -l)");
    await execute("/bin/sleep 0.5; dd if=/dev/zero of=/tmp/held bs=1M count=64 2> /dev/null");
    const full = await execute(
      "/bin/sleep 0.5; grep MemFree /proc/meminfo; i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done",
    );
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("usage").errors], [[], []]);
    const { samples, enginePercent, enginePeakBytes } = JSON.parse(analysis.read("usage.json")) as Recorded;
    assert.ok(samples.length >= 10, `${samples.length}`);
    const free = (output: string) => Number(/MemFree: +(\d+) kB/.exec(output)![1]) * 1024;
    const isNear = (bytes: number) => samples.some(({ guestFreeBytes }) => Math.abs(guestFreeBytes - bytes) < 4 * MIB);
    assert.ok(isNear(free(idle)) && isNear(free(full)), JSON.stringify([free(idle), free(full), samples]));
    assert.ok(free(idle) - free(full) > 60 * MIB);
    // The shell that counts, its own list, and what pipes need are there for the moment only.
    const tasks = Number(/tasks (\d+)/.exec(idle)![1]);
    assert.ok(
      samples.every(({ guestProcesses }) => Math.abs(guestProcesses - tasks) <= 8),
      `${tasks}`,
    );
    assert.ok(enginePercent > 0 && Math.max(...samples.map((sample) => sample.enginePercent)) >= enginePercent);
    assert.ok(samples.every(({ engineBytes }) => engineBytes > 50 * MIB && engineBytes <= enginePeakBytes));
  });
});

const EACH_MS = 100;

test("a long analysis keeps fewer measurements, and they span all of it", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const settings = ["[usage]", "enabled = yes", `interval_ms = ${EACH_MS}`, "most = 4"];
    const analysis = await startModules(lab, settings, guest);
    const begin = Date.now();
    await untilTrue(() => Date.now() - begin > 2500);
    await stopModules(analysis);
    const { samples, intervalMs } = JSON.parse(analysis.read("usage.json")) as Recorded;
    assert.ok(samples.length >= 2 && samples.length < 4, `${samples.length}`);
    assert.ok(intervalMs >= 400, `${intervalMs}`);
    // Each measurement may be a little early or late.
    assert.ok(Date.parse(samples.at(-1)!.time) - Date.parse(samples[0]!.time) > intervalMs - EACH_MS);
  });
});
