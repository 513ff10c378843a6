import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PROJECT } from "../kit/project";
import { withMonitors } from "../kit/terminal/monitor-run";

const SCRIPTS = readdirSync(join(PROJECT, "scripts"))
  .filter((name) => name.endsWith(".ts"))
  .filter((name) => readFileSync(join(PROJECT, "scripts", name), "utf8").includes("function initialize_callbacks"))
  .map((name) => `scripts.${name.replace(/\.ts$/, "")}`);

test("every shipped script loads with the shipped pyrebox.conf: by configuration, at the monitor and in the shell", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-shipped-"));
  const config = join(folder, "pyrebox.conf");
  // The run's current folder is the one of the configuration, as it is for a user.
  process.env.TMPDIR = folder;
  const modules = `[MODULES]\n${SCRIPTS.map((name) => `${name}: True\n`).join("")}`;
  writeFileSync(config, `${readFileSync(join(PROJECT, "pyrebox.conf"), "utf8")}\n${modules}`);
  try {
    const run = await withMonitors(
      async ({ first }) => {
        await first.until("list_modules", (answer) => SCRIPTS.every((name) => answer.includes(name)));
        for (let handle = SCRIPTS.length; handle > 0; handle--) {
          assert.equal(await first.command(`unload_module ${handle}`), "");
        }
        for (const name of SCRIPTS) {
          for (const load of [`import_module ${name}`, `sh import ${name}`]) {
            const answer = await first.command(load);
            const handle = /scripts\.\w+ is loaded\W+handle (\d+)/.exec(answer)?.[1];
            assert.ok(handle !== undefined, answer);
            assert.equal(await first.command(`unload_module ${handle}`), "", name);
          }
        }
      },
      { reboxArgs: ["-c", config] },
    );
    assert.doesNotMatch(run.stderr, /may not use|threw/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
