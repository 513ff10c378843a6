import assert from "node:assert/strict";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { CHANGED, createDisk, runWithSnapshots } from "../kit/guests/snapshot-run";

/** Runs statements on a guest with some disk; returns what they printed. `attempt()` prints how a promise ends, and the guest's state. */
async function printed(
  statements: string,
  makeArgs: (folder: string) => readonly string[],
): Promise<readonly string[]> {
  return inFolder(async (folder) => {
    const prelude = `
      const attempt = async (work: Promise<void>) => {
        print(await work.then(() => "done", (error) => error.name + ": " + error.message));
        await sleep(50);
        print(Engine.get().state);
      };
    `;
    const run = await runWithSnapshots(folder, prelude + statements, [...makeArgs(folder)]);
    assert.equal(run.stderr, "");
    return run.messages;
  });
}

/** A qcow2 disk whose image file fails: `event` and `iotype` of QEMU's blkdebug, with "No space left on device". */
const failing = (event: string, more: string) => (folder: string) => {
  const file = `file.driver=blkdebug,file.image.driver=file,file.image.filename=${createDisk(folder, "qcow2")}`;
  const fault = `file.inject-error.0.event=${event},file.inject-error.0.errno=28${more}`;
  return ["-drive", `if=virtio,driver=qcow2,${file},${fault}`];
};

for (const [kind, makeArgs, advice] of [
  [
    "whose disk holds no snapshots",
    (folder: string) => ["-drive", `file=${createDisk(folder, "raw")},format=raw,if=virtio`],
    /: Device 'virtio0' is writable but does not support snapshots; every disk .* make it qcow2/,
  ],
  ["without a disk", () => [], /: no block device can store vmstate for snapshot; .* qemu-img create -f qcow2/],
] as const) {
  test(`a machine ${kind} says so, and continues`, async () => {
    const [saved, first, loaded, second] = await printed(
      `
        await attempt(saveVm("a"));
        await attempt(loadVm("a"));
      `,
      makeArgs,
    );
    assert.match(saved!, advice);
    assert.equal(saved!.split(": ")[0], "QmpError");
    assert.match(loaded!, kind === "without a disk" ? /does not exist|can store vmstate/ : advice);
    assert.deepEqual([first, second], ["running", "running"]);
  });
}

test("a host's disk that is full ends the saving with its reason; the guest continues, and can be saved later", async () => {
  const [failed, state, missing, , saved, , changed, loaded, , value] = await printed(
    `
      await attempt(saveVm("a"));
      await attempt(loadVm("a"));
      await attempt(saveVm("a"));
      change();
      print(value());
      await attempt(loadVm("a"));
      print(value());
    `,
    failing("vmstate_save", ",file.inject-error.0.once=on"),
  );
  assert.match(
    failed!,
    /^QmpError: savevm "a": .*error; the disk image cannot be written: is the host's file system full\?/,
  );
  assert.equal(state, "running");
  assert.match(missing!, /Snapshot 'a' does not exist/);
  assert.deepEqual([saved, changed, loaded], ["done", CHANGED, "done"]);
  assert.notEqual(value, CHANGED);
});

test("a name that QEMU would cut off, or make up, is refused", async () => {
  const [empty, , long, , longest, , loaded] = await printed(
    `
      await attempt(saveVm(""));
      await attempt(saveVm("\u00e9".repeat(128)));
      await attempt(saveVm("n".repeat(255)));
      await attempt(loadVm("n".repeat(255)));
    `,
    (folder) => ["-drive", `file=${createDisk(folder, "qcow2")},if=virtio`],
  );
  assert.match(empty!, /^RangeError: .* 1 to 255 bytes/);
  assert.match(long!, /^RangeError: .* this one has 256/);
  assert.deepEqual([longest, loaded], ["done", "done"]);
});
