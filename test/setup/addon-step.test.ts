import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { PROJECT } from "../kit/project";

const STEP = pathToFileURL(join(PROJECT, "native/setup/steps/addon.mjs")).href;

test("set-up notices a build folder that CMake configured at another path", async () => {
  const { isConfiguredElsewhere } = await import(STEP);
  const parent = realpathSync(mkdtempSync(join(tmpdir(), "rebox-addon-")));
  try {
    const folder = join(parent, "addon");
    mkdirSync(folder);
    assert.equal(isConfiguredElsewhere(folder), false);
    writeFileSync(join(folder, "CMakeCache.txt"), `A:STRING=b\nCMAKE_CACHEFILE_DIR:INTERNAL=${folder}\n`);
    assert.equal(isConfiguredElsewhere(folder), false);
    renameSync(folder, join(parent, "moved"));
    assert.equal(isConfiguredElsewhere(join(parent, "moved")), true);
  } finally {
    rmSync(parent, { recursive: true });
  }
});
