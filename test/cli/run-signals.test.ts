import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BUILT } from "../kit/project";

const DRIVER = join(BUILT, "test/kit/runs/run-driver.js");
let folder: string;
const started: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-signals-"));
  const lines = [
    "export function initialize_callbacks(handle, printer) { printer('ready'); }",
    "export function clean() { console.log('cleaned'); }",
  ];
  writeFileSync(join(folder, "script.js"), lines.join("\n"));
});

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<[status: number | null, signal: string | null]>;
  output: string;
  /** Waits until the output holds a text. */
  shows(text: string): Promise<void>;
}

function start(args: string[], env: NodeJS.ProcessEnv = {}): Run {
  const child = spawn(process.execPath, [DRIVER, "run", ...args], { cwd: folder, env: { ...process.env, ...env } });
  started.push(child);
  const run: Run = {
    child,
    ended: once(child, "close") as Promise<[number | null, string | null]>,
    output: "",
    shows: async (text) => {
      while (!run.output.includes(text)) await once(child.stdout as NodeJS.ReadableStream, "data");
    },
  };
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data) => (run.output += String(data)));
  return run;
}

function findChildren(pid: number | undefined): string[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  } catch {
    return [];
  }
}

describe("rebox run, interrupted", { timeout: 120_000 }, () => {
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    test(`by ${signal} stops the guest, calls clean() and ends with ${status}`, async () => {
      const run = start(["--script", "script.js", "--json", "-", "--", "-m", "1"]);
      await run.shows('"type":"running"');
      run.child.kill(signal);
      assert.deepEqual(await run.ended, [status, null]);
      assert.match(run.output, new RegExp(`rebox: ${signal} received`));
      assert.match(run.output, /cleaned/);
      const lines = run.output.split("\n").filter((line) => line.startsWith("{"));
      const types = lines.map((line) => (JSON.parse(line) as { type: string }).type);
      assert.deepEqual(types, ["start", "message", "loaded", "running", "signal", "unloaded", "shutdown", "end"]);
    });
  }

  test("a second time ends at once, though the engine hangs, and the monitor's socket is gone", async (t) => {
    const socket = join(folder, "monitor");
    const run = start(["--script", "script.js", "--monitor", `unix:${socket}`, "--", "-m", "1"], { FAKE_HANG: "1" });
    await run.shows("[script] ready");
    // The fake engine has no monitor, so this stands for QEMU's.
    const server = createServer().listen(socket);
    t.after(() => server.close());
    await once(server, "listening");
    run.child.kill("SIGINT");
    await run.shows("cleaned");
    assert.ok(existsSync(socket));
    const before = Date.now();
    run.child.kill("SIGTERM");
    assert.deepEqual(await run.ended, [143, null]);
    assert.ok(Date.now() - before < 2000);
    assert.ok(!existsSync(socket));
  });

  test("while a script initializes for ever still ends", async () => {
    writeFileSync(
      join(folder, "endless.js"),
      "exports.initialize_callbacks = (h, p) => { p('waiting'); setInterval(() => 0, 100); return new Promise(() => {}); };" +
        "exports.clean = () => {};",
    );
    const run = start(["--script", "endless.js", "--", "-m", "1"]);
    await run.shows("waiting");
    run.child.kill("SIGINT");
    assert.deepEqual(await run.ended, [130, null]);
  });

  test("by the reader of its output going away ends too", async () => {
    writeFileSync(
      join(folder, "chatty.js"),
      "exports.initialize_callbacks = (h, p) => { setInterval(() => p('line'), 5); }; exports.clean = () => {};",
    );
    const run = start(["--script", "chatty.js", "--", "-m", "1"]);
    await run.shows("line");
    run.child.stdout?.destroy();
    assert.deepEqual(await run.ended, [141, null]);
  });
});

test("rebox run has no child process, not even a dead one, once the guest runs", { timeout: 120_000 }, async () => {
  const run = start(["--script", "script.js", "--json", "-", "--", "-m", "1"]);
  await run.shows('"type":"running"');
  const { pid } = run.child;
  assert.equal(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"), "");
});

test("rebox run waits for the compiler's process to be gone when a script does not load", async () => {
  writeFileSync(join(folder, "bad.js"), "throw new Error('bad');");
  const run = start(["--script", "bad.js", "--", "-m", "1"]);
  const { pid } = run.child;
  let children: string[] = [];
  let isOver = false;
  void run.ended.then(() => (isOver = true));
  while (children.length === 0 && !isOver) {
    children = findChildren(pid);
    await sleep(1);
  }
  assert.deepEqual(await run.ended, [1, null]);
  for (const child of children) assert.ok(!existsSync(`/proc/${child}`), "the compiler outlived rebox");
});

test("rebox run with a guest that shuts down ends by itself, whatever timers its scripts left", async () => {
  const run = start(["--script", "script.js", "--", "-m", "1"], { FAKE_END: "guest-shutdown" });
  assert.deepEqual(await run.ended, [0, null]);
  assert.match(run.output, /\[script\] ready\ncleaned\n/);
});
