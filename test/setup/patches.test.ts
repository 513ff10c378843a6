import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PROJECT } from "../kit/project";

const PATCHES = join(PROJECT, "qemu-patches");
const files = readdirSync(PATCHES)
  .filter((name) => name.endsWith(".patch"))
  .sort();

test("the series names every patch once, in the order of their numbers", () => {
  const series = readFileSync(join(PATCHES, "series"), "utf8").split("\n").filter(Boolean);
  assert.deepEqual(series, files);
});

test("every patch says what it does, why, how and at what cost", () => {
  for (const name of files) {
    const [header = ""] = readFileSync(join(PATCHES, name), "utf8").split("\n---\n");
    for (const field of ["Subject", "Why", "How", "Cost when unused"]) {
      assert.match(header, new RegExp(`^${field}: \\S`, "m"), `${name}: ${field}`);
    }
    assert.match(header, /^Plain: (yes|no)$/m, `${name}: Plain`);
  }
});

test("git takes every patch as a mail, with an author, a date and the subject", () => {
  for (const name of files) {
    const path = join(PATCHES, name);
    const folder = mkdtempSync(join(tmpdir(), "rebox-mail-"));
    try {
      const input = readFileSync(path);
      const info = execFileSync("git", ["mailinfo", "message", "patch"], { cwd: folder, input, encoding: "utf8" });
      assert.match(info, /^Author: rebox maintainers$/m, name);
      assert.match(info, /^Subject: [\w/-]+: \S/m, name);
      const [, date = ""] = /^Date: (.*)$/m.exec(info) ?? [];
      assert.ok(!Number.isNaN(Date.parse(date)), `${name}: the date ${date}`);
      assert.match(readFileSync(join(folder, "message"), "utf8"), /^Why: /m, name);
      assert.match(readFileSync(join(folder, "patch"), "utf8"), /^--- a\//m, name);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
});

test("every patch adds at most three lines at a site", () => {
  for (const name of files) {
    const text = readFileSync(join(PATCHES, name), "utf8");
    // The build is described, not hooked: QEMU's meson.build has no place to call out from.
    if (text.includes("+++ b/meson.build")) continue;
    for (const hunk of text.split(/^@@ /m).slice(1)) {
      const added = hunk.split("\n").filter((line) => line.startsWith("+") && !line.startsWith("+++"));
      assert.ok(added.length <= 3, `${name}: ${added.length} lines at ${hunk.split("\n")[0]}`);
    }
  }
});
