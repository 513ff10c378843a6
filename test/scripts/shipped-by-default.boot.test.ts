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
  const config = join(folder, "shipped.conf");
  const modules = `[MODULES]\n${SCRIPTS.map((name) => `${name}: True\n`).join("")}`;
  writeFileSync(config, `${readFileSync(join(PROJECT, "pyrebox.conf"), "utf8")}\n${modules}`);
  try {
    const run = await withMonitors(
      async ({ first }) => {
        await first.until("list_modules", (answer) => SCRIPTS.every((name) => answer.includes(name)));
        for (const [index, name] of SCRIPTS.entries()) {
          assert.equal(await first.command(`unload_module ${index + 1}`), "", name);
          assert.match(await first.command(`import_module ${name}`), new RegExp(`${name} is loaded`));
          assert.doesNotMatch(await first.command(`sh unload ${name}`), /no script|threw/, name);
          assert.match(await first.command(`sh import ${name}`), new RegExp(`${name} is loaded`));
        }
      },
      { reboxArgs: ["-c", config] },
    );
    assert.doesNotMatch(run.stderr, /may not use|threw/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
