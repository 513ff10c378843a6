import assert from "node:assert/strict";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { CHANGED, runWithSnapshots } from "../kit/guests/snapshot-run";

/** Runs statements on a guest with a disk for snapshots; returns what they printed. */
async function printed(statements: string): Promise<readonly string[]> {
  return inFolder(async (folder) => {
    const run = await runWithSnapshots(folder, statements);
    assert.equal(run.stderr, "");
    return run.messages;
  });
}

test("a paused guest stays paused after a snapshot is saved and after one is loaded", async () => {
  const [before, state, changed, loaded, after] = await printed(`
    print(value());
    await Engine.get().pause();
    await saveVm("paused");
    print(Engine.get().state);
    change();
    print(value());
    await loadVm("paused");
    print(value());
    print(Engine.get().state);
  `);
  assert.equal(state, "paused");
  assert.equal(changed, CHANGED);
  assert.equal(loaded, before);
  assert.equal(after, "paused");
});

test("snapshots that are asked for at once are taken one after the other", async () => {
  const [before, ...rest] = await printed(`
    print(value());
    await Promise.all([saveVm("one"), saveVm("two"), saveVm("one")]);
    change();
    const loads = [loadVm("two"), loadVm("one")];
    await Promise.all(loads);
    print(value());
    print(Engine.get().state);
  `);
  assert.deepEqual(rest, [before, "running"]);
});

for (const kind of ["BLOCK_BEGIN_CB", "MEM_WRITE_CB", "INSN_BEGIN_CB", "CONTEXTCHANGE_CB", "TLB_EXEC_CB"]) {
  test(`a snapshot can be saved and loaded in a callback of ${kind}`, async () => {
    const [before, ...rest] = await printed(`
      print(value());
      startMonitoringProcess(ALL_PROCESSES);
      const once = (work: () => Promise<void>) =>
        new Promise<void>((resolve, reject) => {
          const callback = cm.addCallback("${kind}", () => {
            cm.rmCallback(callback);
            work().then(resolve, reject);
          });
        });
      await once(() => saveVm("inside"));
      change();
      await once(() => loadVm("inside"));
      print(value());
      await sleep(50);
      print(Engine.get().state);
    `);
    assert.deepEqual(rest, [before, "running"]);
  });
}

test("a callback that awaits a snapshot holds the guest until it is taken", async () => {
  const [before, ...rest] = await printed(`
    print(value());
    startMonitoringProcess(ALL_PROCESSES);
    await new Promise<void>((resolve, reject) => {
      const callback = cm.addCallback("BLOCK_BEGIN_CB", async () => {
        cm.rmCallback(callback);
        try {
          await saveVm("held");
          change();
          await loadVm("held");
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
    print(value());
    await sleep(50);
    print(Engine.get().state);
  `);
  assert.deepEqual(rest, [before, "running"]);
});
