import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { PROJECT } from "../kit/project";

test("npm run link puts rebox on the PATH, from any folder; a program of somebody else's stays", async () => {
  await inFolder(async (folder) => {
    const bin = join(folder, "it's here");
    const link = () => spawnSync(process.execPath, [join(PROJECT, "native/setup/link.mjs"), bin], { encoding: "utf8" });
    assert.match(link().stdout, /is not on the PATH; add to/);
    assert.equal(link().status, 0, "a second time is no mistake");
    mkdirSync(join(folder, "elsewhere"));
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    const version = execFileSync("rebox", ["--version"], { cwd: join(folder, "elsewhere"), env, encoding: "utf8" });
    assert.match(version, /^rebox \d+\.\d+\.\d+/);
    // A lab is made where the caller is, and its modules are rebox's own.
    execFileSync("rebox", ["lab", "init", "lab"], { cwd: join(folder, "elsewhere"), env });
    const check = execFileSync("rebox", ["config", "check", "--lab", "lab"], { cwd: join(folder, "elsewhere"), env, encoding: "utf8" }); // prettier-ignore
    assert.match(check, /^qemu: 0 machines can be used$/m);
    writeFileSync(join(bin, "rebox"), "#!/bin/sh\necho mine\n");
    const refused = link();
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /is another program; name another folder/);
    await Promise.resolve();
  });
});
