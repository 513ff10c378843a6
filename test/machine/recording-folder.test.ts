import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RecordingError } from "../../src/machine/errors";
import { prepareRecording } from "../../src/machine/recording/recorder";
import { makeRecordingFolder } from "../../src/machine/recording/recording-folder";
import { keepStartState } from "../../src/machine/recording/start-state";
import { inFolder } from "../kit/in-folder";

/** A machine that cannot be recorded, which is noticed when its folder is there. */
const WITHOUT_KERNEL = ["-kernel", "/nowhere/vmlinuz"];

const isAboutKernel = (error: unknown) => error instanceof RecordingError && /vmlinuz/.test(error.message);

/** Writes a golden state whose processor counts two billion ticks a second. */
function writeGolden(folder: string): string {
  mkdirSync(folder);
  for (const name of ["ram", "devices"]) writeFileSync(join(folder, name), name);
  writeFileSync(join(folder, "golden.json"), JSON.stringify({ files: [], ticksKhz: 2_000_000 }));
  return folder;
}

test("a recording that cannot be made leaves nothing: folders that were made for it go, one that was there stays, empty", async () => {
  await inFolder(async (folder) => {
    await assert.rejects(prepareRecording(join(folder, "a/b/c"), WITHOUT_KERNEL), isAboutKernel);
    assert.deepEqual(readdirSync(folder), []);

    const golden = writeGolden(join(folder, "golden"));
    const here = join(folder, "here");
    mkdirSync(here);
    await assert.rejects(prepareRecording(here, WITHOUT_KERNEL, golden), isAboutKernel);
    assert.deepEqual(readdirSync(here), []);
    assert.ok(existsSync(join(golden, "ram")));
  });
});

test("what others have put beside a recording stays when it is taken back, and a clean-up that fails says nothing", async () => {
  await inFolder(async (folder) => {
    const nested = makeRecordingFolder(join(folder, "all/one"));
    writeFileSync(join(folder, "all/notes"), "");
    nested.remove();
    assert.deepEqual(readdirSync(join(folder, "all")), ["notes"]);

    const here = join(folder, "here");
    mkdirSync(here);
    const made = makeRecordingFolder(here);
    writeFileSync(join(here, "log"), "");
    writeFileSync(join(here, "notes"), "");
    made.remove();
    assert.deepEqual(readdirSync(here), ["notes"]);
    assert.throws(() => makeRecordingFolder(here), /here is not empty: a recording gets a folder of its own/);

    const gone = makeRecordingFolder(join(folder, "gone"));
    rmdirSync(join(folder, "gone"));
    gone.remove();
  });
});

test("a recording goes by the ticks of the host on which its golden state was booted", async () => {
  await inFolder(async (folder) => {
    const golden = writeGolden(join(folder, "golden"));
    const recording = join(folder, "recording");
    mkdirSync(recording);
    const { start } = await keepStartState(golden, recording);
    assert.deepEqual([start.ticksKhz, start.ramSize], [2_000_000, 3]);
  });
});
