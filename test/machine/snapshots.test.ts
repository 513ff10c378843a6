import assert from "node:assert/strict";
import { test } from "node:test";
import { saveSnapshot } from "../../src/machine/state/snapshots";

/** A machine whose monitor says nothing of a failed end, as QEMU's, and that has these snapshots afterwards. */
function createMachine(snapshots: readonly { readonly name: string; readonly "vm-state-size": number }[]) {
  return {
    hmp: () => Promise.resolve(""),
    qmp: () => Promise.resolve([{ image: {} }, { image: { snapshots } }]),
  };
}

test("a snapshot whose end could not be written is not said to be saved", async () => {
  await saveSnapshot(createMachine([{ name: "a", "vm-state-size": 5 }]), "a");
  for (const left of [[], [{ name: "b", "vm-state-size": 5 }], [{ name: "a", "vm-state-size": 0 }]]) {
    await assert.rejects(saveSnapshot(createMachine(left), "a"), {
      name: "QmpError",
      message:
        'savevm "a": the state could not be written to the end: no snapshot was saved; is the host\'s file system full?',
    });
  }
});
