import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { PROJECT } from "../kit/project";
import { withMonitors } from "../kit/terminal/monitor-run";

const SCRIPTS = readdirSync(join(PROJECT, "scripts"))
  .filter((name) => name.endsWith(".ts"))
  .filter((name) => readFileSync(join(PROJECT, "scripts", name), "utf8").includes("function initialize_callbacks"))
  .map((name) => `scripts.${name.replace(/\.ts$/, "")}`);

test("every shipped script loads with the shipped pyrebox.conf: by configuration, at the monitor and in the shell", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-shipped-"));
  const config = join(folder, "pyrebox.conf");
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
            assert.match(await first.command(load), new RegExp(`^${name} is loaded\\W`));
            assert.equal(await first.command(`unload_module ${name}`), "", name);
          }
        }
      },
      { reboxArgs: ["-c", config], cwd: folder },
    );
    assert.doesNotMatch(run.stderr, /may not use|threw/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const COMMANDS_WITH_NUMBERS = {
  "scripts.range_test": ["watch_range 1056000 1057000", "watching 0x1056000 to 0x1057000"],
  "scripts.mem_write_test": ["watch_writes ffffffff81000000 ffffffff82000000", "watching"],
  "scripts.page_write_execute": ["watch_wx ab000", "watching ab000"],
  "scripts.script_example": ["follow ab000", "following 0xab000"],
} as const;

test("every command of a shipped script takes a number in hexadecimal without 0x, as the shell does", async () => {
  await withMonitors(
    async ({ first }) => {
      for (const [name, [command, answer]] of Object.entries(COMMANDS_WITH_NUMBERS)) {
        await first.command(`import_module ${name}`);
        assert.ok((await first.command(`custom ${command}`)).startsWith(answer), command);
        const refusal = await first.command(`custom ${command.replace(/\b[\da-f]+$/, "xyz")}`);
        assert.match(refusal, /is a number, in hexadecimal or as \\d31 in decimal, not "xyz"/, command);
      }
    },
    { reboxArgs: ["-c", join(PROJECT, "pyrebox.conf")] },
  );
});

test("live_view without its permission shows all but the picture, and says why that is missing", async () => {
  const run = await withMonitors(async ({ first }) => {
    assert.match(await first.command("import_module scripts.live_view"), /is loaded/);
    assert.equal(await first.command("unload_module scripts.live_view"), "");
  });
  assert.match(
    run.stdout,
    /There is no picture of the guest's screen: .*scripts\.live_view may not use results\/live_view\.png; .*: fs:FOLDER in/,
  );
});

test("live_view that is trusted makes the folder of its picture", () =>
  inFolder(async (folder) => {
    const script = join(PROJECT, "scripts/live_view.ts");
    await withMonitors(
      async ({ first }) => {
        assert.equal(await first.command("unload_module scripts.live_view"), "");
        assert.equal(readFileSync(join(folder, "results/live_view.png")).subarray(1, 4).toString(), "PNG");
      },
      { reboxArgs: ["--trust", "--script", script], cwd: folder },
    );
  }));
