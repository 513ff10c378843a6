import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { PROJECT } from "../kit/project";

const MODULE = pathToFileURL(join(PROJECT, "native/setup/newc-archive.mjs")).href;

/** Reads a newc archive by the format's description in Linux's source (buffer-format.rst). */
function entriesOf(archive: Buffer): { name: string; mode: number; device: [number, number]; content: string }[] {
  const entries = [];
  const align = (offset: number) => (offset + 3) & ~3;
  for (let offset = 0; ;) {
    assert.equal(archive.toString("latin1", offset, offset + 6), "070701");
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", offset + 6 + 8 * index, offset + 14 + 8 * index), 16);
    const name = archive.toString("latin1", offset + 110, offset + 110 + field(11) - 1);
    const start = align(offset + 110 + field(11));
    const content = archive.toString("latin1", start, start + field(6));
    if (name === "TRAILER!!!") return entries;
    entries.push({ name, mode: field(1), device: [field(9), field(10)] as [number, number], content });
    offset = align(start + field(6));
  }
}

test("an archive holds what was added, and is the same each time", async () => {
  const { NewcArchive } = await import(MODULE);
  const build = () =>
    new NewcArchive()
      .directory("dev")
      .characterDevice("dev/console", 5, 1)
      .symlink("sh", "busybox")
      .file("init", Buffer.from("#!/bin/sh\n"), { executable: true })
      .file("banner", Buffer.from("x"))
      .toBuffer();
  assert.deepEqual(entriesOf(build()), [
    { name: "dev", mode: 0o040755, device: [0, 0], content: "" },
    { name: "dev/console", mode: 0o020600, device: [5, 1], content: "" },
    { name: "sh", mode: 0o120777, device: [0, 0], content: "busybox" },
    { name: "init", mode: 0o100755, device: [0, 0], content: "#!/bin/sh\n" },
    { name: "banner", mode: 0o100644, device: [0, 0], content: "x" },
  ]);
  assert.ok(build().equals(build()));
});
