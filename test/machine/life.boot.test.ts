import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { guestArgs } from "../kit/guests/guest-args";
import { runGuest, runRebox, scriptPrelude, SLOWNESS } from "../kit/guests/guest-run";

test("pause, resume and reset say what happened, in order", async () => {
  const run = await runGuest({
    task: "busy",
    script: (serial) => `
      import { CallbackManager, Engine } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        const engine = Engine.get();
        let changes = 0;
        cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => void changes++);
        printer(engine.state);
        engine.on("running", () => printer("event running " + engine.state));
        engine.on("paused", ({ state }) => printer("event paused " + state));
        engine.on("reset", () => printer("event reset"));
        void (async () => {
          await untilTruth("busy");
          await engine.pause();
          const then = changes;
          await new Promise((resolve) => setTimeout(resolve, 300));
          printer("while paused " + (changes - then));
          await engine.resume();
          while (changes === then) await new Promise((resolve) => setTimeout(resolve, 20));
          printer("goes on");
          await engine.qmp("set-action", { reboot: "reset" });
          await engine.reset();
          while (changes === then) await new Promise((resolve) => setTimeout(resolve, 20));
          setTimeout(() => void engine.quit(), 300);
        })();
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  // SeaBIOS may reset the machine a second time when it finds its memory used.
  assert.deepEqual(run.messages.slice(0, 7), [
    "created",
    "event running running",
    "event paused paused",
    "while paused 0",
    "event running running",
    "goes on",
    "event reset",
  ]);
});

test("timers, promises and sockets of a script go on beside a busy guest", async () => {
  const run = await runGuest({
    task: "busy",
    script: (serial) => `
      import { createServer, connect } from "node:net";
      import { Engine } from "rebox";
      ${scriptPrelude(serial)}
      export function initialize_callbacks(_: number, printer: (text: string) => void): void {
        void (async () => {
          await untilTruth("busy");
          let ticks = 0;
          const timer = setInterval(() => void ticks++, 10);
          const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1", () => {
            const client = connect((server.address() as { port: number }).port, "127.0.0.1");
            let echoes = 0;
            client.on("data", () => {
              if (++echoes < 50) return void client.write("x");
              printer("echoes " + echoes);
              client.end();
              server.close();
            });
            client.write("x");
          });
          await new Promise((resolve) => setTimeout(resolve, 3000));
          clearInterval(timer);
          printer("ticks " + (ticks > 100));
          await Engine.get().quit();
        })();
      }
      export function clean(): void {}
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, ["echoes 50", "ticks true"]);
});

test("--timeout ends the guest with status 0 and says so", async () => {
  const run = await runGuest({ task: "idle", reboxArgs: ["--timeout", "2"] });
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stderr + run.stdout, /2 s/);
});

test("Ctrl-C ends a running guest cleanly, and its monitor's socket is gone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-life-"));
  try {
    const serial = join(folder, "serial.txt");
    const socket = join(folder, "monitor.sock");
    let socketSeen = false;
    let timer: NodeJS.Timeout | undefined;
    const run = await runRebox(
      [
        "run",
        "--monitor",
        `unix:${socket}`,
        "--",
        ...guestArgs(serial, "busy", {}).filter((a, i, all) => a !== "-monitor" && all[i - 1] !== "-monitor"),
      ],
      40_000,
      (pid) => {
        timer = setInterval(() => {
          if (existsSync(serial) && readFileSync(serial, "latin1").includes("busy=1")) {
            clearInterval(timer);
            socketSeen = existsSync(socket);
            process.kill(pid, "SIGINT");
          }
        }, 50);
      },
      // A guest that never comes up must not keep the test alive.
    ).finally(() => clearInterval(timer));
    assert.equal(run.status, 130, run.stderr);
    assert.ok(socketSeen, "the monitor listened");
    assert.deepEqual(readdirSync(folder), ["serial.txt"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a script that ends the process in a callback leaves nothing behind", async () => {
  const run = await runGuest({
    task: "busy",
    script: () => `
      import { CallbackManager } from "rebox";
      export function initialize_callbacks(handle: number): void {
        new CallbackManager(handle).addCallback(CallbackManager.CONTEXTCHANGE_CB, () => process.exit(7));
      }
      export function clean(): void {}
    `,
  });
  assert.equal(run.signal, null);
  assert.equal(run.status, 7, run.stderr);
});

test(
  "a hundred engines in a row start and stop, and leave no file and no process",
  { timeout: 300_000 * SLOWNESS },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-life-"));
    try {
      for (let number = 1; number <= 100; number++) {
        let pid = 0;
        const run = await runRebox(
          ["run", "--timeout", "0.05", "--", "-machine", "none", "-display", "none", "-monitor", "none"],
          20_000,
          (started) => (pid = started),
          { TMPDIR: folder },
        );
        assert.equal(run.status, 0, `engine ${number}: ${run.stderr}`);
        assert.ok(!existsSync(`/proc/${pid}`), `engine ${number} is gone`);
        assert.deepEqual(readdirSync(folder), []);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test("quit ends a machine whose guest has powered off under -no-shutdown", async () => {
  const run = await runGuest({
    task: "poweroff",
    qemuArgs: ["-no-shutdown"],
    trust: true,
    script: () => `
      import { Engine } from "rebox";
      export function initialize_callbacks(_: number, printer: (text: string) => void): void {
        void (async () => {
          while (!(await Engine.get().hmp("info status")).includes("shutdown")) await new Promise((resolve) => setTimeout(resolve, 50));
          printer("powered off");
          await Engine.get().quit();
        })();
      }
      export const clean = (): void => {};
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, ["powered off"]);
  assert.equal(run.cause, "host-qmp-quit");
});
