import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { CHANGED, runWithSnapshots } from "../kit/guests/snapshot-run";

test("a snapshot brings memory back as it was", () =>
  inFolder(async (folder) => {
    const run = await runWithSnapshots(
      folder,
      `
        let changes = 0;
        cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => void changes++);
        await saveVm("before");
        change();
        print(value());
        await loadVm("before");
        print(value());
        await loadVm("no such").catch((error: Error) => print(error.message));
        const then = changes;
        while (changes === then) await sleep(20);
        print("still called");
      `,
    );
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(run.messages.slice(0, 2), [CHANGED, run.truth.get("pattern.value")]);
    assert.match(run.messages[2] ?? "", /no such/);
    assert.equal(run.messages[3], "still called");
  }));

test("the screen is a picture, and keys reach the guest's shell", () =>
  inFolder(async (folder) => {
    const picture = join(folder, "screen.png");
    const run = await runGuest({
      task: "keys",
      script: (serial) => `
        import { Engine, mouseButton, mouseMove, screenshot, sendKey } from "rebox";
        ${scriptPrelude(serial)}
        export function initialize_callbacks(_: number, printer: (text: string) => void): void {
          void (async () => {
            await untilTruth("keys.ready");
            for (const key of ["r", "e", "shift-b", "o", "x", "ret"]) await sendKey(key, 30);
            await untilTruth("keys.line");
            await mouseMove(5, -5);
            await mouseButton(1);
            await mouseButton(0);
            await sendKey("no-such-key").catch((error: Error) => printer(error.message));
            await screenshot(${JSON.stringify(picture)});
            await screenshot("/proc/nowhere/screen.png").catch((error: Error) => printer(error.message));
            await Engine.get().quit();
          })();
        }
        export function clean(): void {}
      `,
    });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.truth.get("keys.line"), "reBox");
    assert.match(run.messages[0] ?? "", /no/);
    assert.match(run.messages[1] ?? "", /\/proc\/nowhere/);
    const png = readFileSync(picture);
    assert.equal(png.subarray(1, 4).toString(), "PNG");
    const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
    assert.ok(width >= 640 && height >= 400, `${width} x ${height}`);
  }));

test("an I/O port answers as it does in the guest, and takes what is written", async () => {
  const run = await runGuest({
    task: "idle",
    script: () => `
      import { Engine, readIoPort, writeIoPort } from "rebox";
      export function initialize_callbacks(_: number, printer: (text: string) => void): void {
        // The clock's CMOS: index 0x70, data 0x71. Register 0x32 is the century.
        writeIoPort(0x70, 1, 0x32);
        printer("century " + readIoPort(0x71, 1).toString(16));
        for (const attempt of [() => readIoPort(0x10000, 1), () => readIoPort(0x71, 3)]) {
          try {
            attempt();
          } catch (error) {
            printer((error as Error).message);
          }
        }
        void Engine.get().quit();
      }
      export function clean(): void {}
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "century 20",
    "port is 65536: a whole number from 0 to 0xffff",
    "size is 3: 1, 2 or 4 bytes",
  ]);
});

test("commands of QMP are carried out in the order in which they are given, and a machine that was paused before it ran stays so", async () => {
  const run = await runGuest({
    task: "idle",
    boots: true,
    trust: true,
    script: () => `
      import { Engine, readCpu } from "rebox";
      export function initialize_callbacks(_: number, printer: (text: string) => void): void {
        const engine = Engine.get();
        const ask = async () => ((await engine.qmp("query-status")) as { status: string }).status;
        void engine.pause();
        setTimeout(() => void (async () => {
          printer((await ask()) + " " + readCpu(0).RIP.toString(16));
          const wrong: string[] = [];
          for (let turn = 0; turn < 50; turn++) {
            const [, , runs] = await Promise.all([engine.pause(), engine.resume(), ask()]);
            const [, , stands] = await Promise.all([engine.resume(), engine.pause(), ask()]);
            if (runs !== "running" || stands !== "paused") wrong.push(turn + ": " + runs + ", " + stands);
          }
          printer(wrong.join("; "));
          await engine.quit();
        })(), 0);
      }
      export function clean(): void {}
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  // The reset vector (Intel SDM volume 3, 10.1.4).
  assert.deepEqual(run.messages, ["prelaunch fff0", ""]);
});
