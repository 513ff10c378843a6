import assert from "node:assert/strict";
import { test } from "node:test";
import { ControlClient } from "../../src/shell/line/control-client";
import { createSnapshotDisk } from "../kit/guests/snapshot-run";
import { inFolder } from "../kit/in-folder";
import { withShell } from "../kit/terminal/shell-run";

interface Place {
  readonly address: string;
}

test("a snapshot between steps is where the guest stands again; breakpoints stay, and steps go on from there", async () => {
  await inFolder((folder) =>
    withShell({ task: "busy", qemuArgs: createSnapshotDisk(folder) }, async (run) => {
      await run.truth("busy");
      const state = async () => (await run.data<{ state: string }>("status")).state;
      const paused = async () => {
        while ((await state()) !== "paused");
      };
      const pc = async () => (await run.data<{ pc: string }>("status")).pc;
      const steps = async (count: number) => {
        const seen: string[] = [];
        for (let step = 0; step < count; step++) seen.push((await run.data<Place>("step")).address);
        return seen;
      };
      // Interrupts are off there: each time the same instructions follow.
      await run.text("bp kernel!entry_SYSCALL_64");
      await paused();
      const [start] = [await pc()];
      await run.text("savevm start");
      assert.deepEqual([await state(), await pc()], ["paused", start]);
      const first = await steps(3);
      await run.text("savevm middle");
      const rest = await steps(3);
      await run.text("loadvm start");
      assert.deepEqual([await state(), await pc()], ["paused", start]);
      // The breakpoint is where it stands, and its instruction begins anew in the state that was loaded.
      assert.deepEqual(await steps(4), [start, ...first]);
      await run.text("loadvm middle");
      assert.equal(await pc(), first[2]);
      assert.deepEqual(await steps(3), rest);
      const [breakpoint] = await run.data<{ state: string; hits: number }[]>("bl");
      assert.equal(breakpoint?.state, "enabled");
      await run.text("cont");
      await paused();
      assert.equal(await pc(), start);
      await run.text("loadvm start");
      assert.deepEqual([await state(), await pc()], ["paused", start]);
      await run.text("bc *");
      await run.text("cont");
      assert.equal(await state(), "running");
    }),
  );
});

test("a snapshot that is saved while many steps are being made waits for no end of theirs, and the steps are all made", async () => {
  await inFolder((folder) =>
    withShell({ task: "busy", qemuArgs: createSnapshotDisk(folder) }, async (run) => {
      await run.truth("busy");
      await run.text("pause");
      const other = await ControlClient.connect(run.socket);
      try {
        const stepping = run.client.run("step 30000");
        const saved = await other.run("savevm among");
        assert.equal(saved.error, undefined);
        assert.equal((await stepping).error, undefined);
        assert.equal((await run.data<{ state: string }>("status")).state, "paused");
        await run.text("loadvm among");
        assert.equal((await run.client.run("step 10")).error, undefined);
      } finally {
        other.close();
      }
    }),
  );
});

test("many steps come to their end, also where what an interrupt has interrupted never goes on", async () => {
  await withShell({ task: "busy" }, async (run) => {
    await run.truth("busy");
    await run.text("pause");
    for (let round = 0; round < 10; round++) assert.equal((await run.client.run("step 30000")).error, undefined);
  });
});
