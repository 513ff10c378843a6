import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";
import { askReference, needReference } from "../kit/lab/reference-python";

/** Where a PC has the memory of its screen, which is none of RAM. */
const VGA_HOLE = 0x20000;

test("memory is dumped at the end, and a page of it is what the guest says it is", async () => {
  await withGuest({ task: "pattern" }, async ({ lab, guest, untilConsole }) => {
    const [, sha256] = await untilConsole(/pattern\.sha256=([0-9a-f]{64})/);
    await untilConsole(/pattern\.done=1/);
    const analysis = await startModules(lab, ["[memory]", "enabled = yes"], guest);
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("memory").errors], [[], []]);
    const [dump] = analysis.eventsOf("memory.dumped");
    assert.deepEqual(
      [dump!.path, dump!.format, dump!.memorySize],
      [analysis.path("memory.core"), "elf", (256 << 20) - VGA_HOLE],
    );
    assert.equal(((await guest.qmp("query-status")) as { status: string }).status, "running");
    const page = Buffer.alloc(4096);
    for (let at = 0; at < page.length; at += 8) page.writeBigUInt64LE(0x5245424f58504147n, at);
    assert.equal(createHash("sha256").update(page).digest("hex"), sha256);
    assert.ok(readFileSync(analysis.path("memory.core")).includes(page));
  });
});

test("without the option memory_dump, no memory is dumped where it has to be asked for", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const settings = ["[memory]", "enabled = yes", "when = asked", "format = raw", "compressed = yes"];
    const [without, asked] = await Promise.all([
      startModules(lab, settings, guest),
      startModules(lab, settings, guest, { options: { memory_dump: "yes" } }),
    ]);
    await Promise.all([stopModules(without), stopModules(asked)]);
    assert.ok(!existsSync(without.path("memory.raw.zst")));
    assert.ok(existsSync(asked.path("memory.raw.zst")));
  });
});

test(
  "drgn opens the memory by itself, and reads there what the guest says of its kernel",
  { skip: needReference("export") },
  async () => {
    await withGuest({}, async ({ lab, guest, execute }) => {
      const output = await execute("uname -r; cat /proc/version; grep ' linux_banner$' /proc/kallsyms");
      const analysis = await startModules(lab, ["[memory]", "enabled = yes"], guest);
      await stopModules(analysis);
      assert.deepEqual([analysis.log, analysis.status("memory").errors], [[], []]);
      const [, banner] = /^([0-9a-f]{16}) \w linux_banner$/m.exec(output)!;
      const read = askReference("export", "core_reference.py", { core: analysis.path("memory.core"), banner }) as { release: string; banner: string }; // prettier-ignore
      assert.ok(output.split("\n").includes(read.release), `${read.release}: ${output}`);
      assert.match(read.banner, /^Linux version /);
      assert.ok(output.split("\n").includes(read.banner), `${read.banner}: ${output}`);
    });
  },
);
