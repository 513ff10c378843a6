import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { GdbClient } from "../kit/clients/gdb-client";
import { HmpClient } from "../kit/clients/hmp-client";
import { withMonitors } from "../kit/terminal/monitor-run";
import { VncClient } from "../kit/clients/vnc-client";
import { BUILT } from "../kit/project";

const SOURCES = join(BUILT, "src");
const SCRIPT =
  "export const initialize_callbacks = () => {}; export const do_hi = () => 'hi there'; export const clean = () => {};";

test("the terminal's monitor knows scripts", () =>
  inFolder(async (folder) => {
    writeFileSync(join(folder, "hi.js"), SCRIPT);
    const main = join(SOURCES, "cli/main.js");
    const args = ["run", "--monitor", "stdio", "--timeout", "60", "--", "-display", "none", "-nic", "none"];
    const child = spawn(process.execPath, [main, ...args], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
    let text = "";
    const prompts = () => text.split("(qemu) ").length - 1;
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const closed = once(child, "close");
    for (const [index, line] of ["import_module hi.js", "custom hi", "quit"].entries()) {
      while (prompts() <= index) await Promise.race([once(child.stdout, "data"), closed]);
      child.stdin.write(`${line}\n`);
    }
    assert.deepEqual(await closed, [0, null], text);
    assert.match(text, /^hi is loaded: handle 1, version 1\r?$/m);
    assert.match(text, /^hi there\r?$/m);
  }));

test("a monitor on a VNC console knows scripts", () =>
  inFolder(async (folder) => {
    const socket = join(folder, "vnc.sock");
    const run = await withMonitors(
      async ({ first, write }) => {
        const vnc = await VncClient.connect(socket);
        vnc.selectConsole(2);
        vnc.typeLine(`import_module ${write("hi.js", SCRIPT)}`);
        await first.until("list_modules", (modules) => modules.includes("hi.js"));
        assert.equal(await first.command("custom hi"), "hi there\n");
        vnc.typeLine("unload_module 1");
        await first.until("list_modules", (modules) => !modules.includes("hi.js"));
        vnc.close();
      },
      { qemuArgs: ["-monitor", "vc", "-parallel", "none", "-vnc", `unix:${socket}`] },
    );
    assert.equal(run.status, 0, run.stderr);
  }));

test("gdb's monitor, which cannot wait, says so", () =>
  inFolder(async (folder) => {
    const socket = join(folder, "gdb.sock");
    const toHex = (text: string) => Buffer.from(text).toString("hex");
    const run = await withMonitors(
      async ({ first }) => {
        const gdb = await GdbClient.connect(socket);
        await gdb.request("?");
        const printed = async (line: string) =>
          Buffer.from((await gdb.request(`qRcmd,${toHex(line)}`)).replace(/^O/, ""), "hex").toString();
        assert.match(await printed("list_modules"), /^Error: this monitor cannot wait for an answer: use another one/);
        assert.match(await first.command("list_modules"), /^no script is loaded/);
        gdb.close();
      },
      { qemuArgs: ["-gdb", `unix:${socket},server=on,wait=off`] },
    );
    assert.equal(run.status, 0, run.stderr);
  }));

test("a command that comes before anybody serves scripts is executed once somebody does", () =>
  inFolder(async (folder) => {
    const socket = join(folder, "monitor.sock");
    const program = `
      const { Engine } = require("./doors/rebox.js");
      const { MonitorService } = require("./shell/monitor/monitor-service.js");
      const { setScriptHost } = require("./scripts/module-control.js");
      const { ScriptHost } = require("./scripts/script-host.js");
      const { doors } = require("./doors/doors.js");
      const scripts = new ScriptHost({ folders: [], getApi: () => doors, getPermissions: () => undefined });
      setScriptHost(scripts);
      const engine = Engine.create(["-display", "none", "-nic", "none", "-monitor", process.env.MONITOR]);
      engine.run();
      process.stdin.once("data", () => {
        process.stdin.unref();
        new MonitorService(engine.native, scripts, () => undefined);
      });
    `;
    const child = spawn(process.execPath, ["-e", program], {
      cwd: SOURCES,
      env: { ...process.env, MONITOR: `unix:${socket},server=on,wait=off` },
      stdio: ["pipe", "inherit", "inherit"],
    });
    const closed = once(child, "close");
    const monitor = await HmpClient.connect(socket);
    let answer = "";
    const asked = monitor.command("list_modules").then((text) => (answer = text));
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(answer, "");
    child.stdin.write("serve\n");
    assert.match(await asked, /^no script is loaded/);
    monitor.send("quit");
    assert.deepEqual(await closed, [0, null]);
    monitor.close();
  }));

test("stop given before the machine is let go holds, until cont", () =>
  inFolder(async (folder) => {
    const socket = join(folder, "monitor.sock");
    const program = `
      const { Engine } = require("./doors/rebox.js");
      const engine = Engine.create(["-display", "none", "-nic", "none", "-monitor", process.env.MONITOR]);
      process.stdin.on("data", (line) => (String(line) === "run" ? engine.run() : process.stdin.unref()));
      engine.ended.then(() => process.exit(0));
    `;
    const child = spawn(process.execPath, ["-e", program], {
      cwd: SOURCES,
      env: { ...process.env, MONITOR: `unix:${socket},server=on,wait=off` },
      stdio: ["pipe", "inherit", "inherit"],
    });
    const closed = once(child, "close");
    const monitor = await HmpClient.connect(socket);
    assert.equal(await monitor.command("stop"), "");
    child.stdin.write("run");
    // Nothing tells that nothing happens: it would run within milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.match(await monitor.command("info status"), /^VM status: paused/);
    await monitor.command("cont");
    assert.match(await monitor.command("info status"), /^VM status: running/);
    monitor.send("quit");
    assert.deepEqual(await closed, [0, null]);
    monitor.close();
  }));
