import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { InstallationError } from "../../src/config/errors";
import { getCacheFolder, getProjectFolder, getReboxVersion } from "../../src/config/folders";
import { PROJECT } from "../kit/project";

test("the project's folder is the nearest whose package.json is rebox's", () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-folders-"));
  try {
    const inner = join(folder, "packages/inner");
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{"name":"rebox","version":"1.2.3"}');
    writeFileSync(join(inner, "package.json"), '{"name":"other"}');
    assert.equal(getProjectFolder(inner), folder);
    assert.equal(getReboxVersion(folder), "1.2.3");
    assert.throws(() => getProjectFolder("/"), InstallationError);
    assert.equal(getProjectFolder(), PROJECT);
    assert.match(getReboxVersion(), /^\d+\.\d+\.\d+/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("caches lie below XDG_CACHE_HOME, or else below ~/.cache", () => {
  const before = process.env["XDG_CACHE_HOME"];
  try {
    process.env["XDG_CACHE_HOME"] = "/large/disk";
    assert.equal(getCacheFolder("kernels"), "/large/disk/rebox/kernels");
    process.env["XDG_CACHE_HOME"] = "";
    assert.equal(getCacheFolder(), join(homedir(), ".cache/rebox"));
  } finally {
    if (before === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = before;
  }
});
