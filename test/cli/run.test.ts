// esbuild starts its process in the folder in which it was loaded, so it is loaded before the tests change theirs.
import "esbuild";
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, test } from "node:test";
import { createDoors } from "../../src/scripts/loading/doors";
import { runProgram } from "../../src/cli/program";
import { getProjectFolder } from "../../src/config/folders";
import type { RunEnvironment } from "../../src/cli/run/run-environment";
import { FakeEngine, type FakeEngineScenario } from "../kit/runs/fake-engine";

const originalFolder = process.cwd();
let folder: string;
let engine: FakeEngine | undefined;
let processEvents: EventEmitter;
let disposed: number[];
let named: [handle: number, name: string][];
const api = { later: [] as (() => void)[] };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-run-"));
  process.chdir(folder);
  engine = undefined;
  processEvents = new EventEmitter();
  disposed = [];
  named = [];
  api.later = [];
});

afterEach(() => {
  process.chdir(originalFolder);
  rmSync(folder, { recursive: true });
});

const SHUTDOWN: FakeEngineScenario = {
  onRun: (running) => running.finish({ reason: "shutdown", cause: "guest-shutdown" }),
};

async function rebox(argv: string[], scenario: FakeEngineScenario = SHUTDOWN, changes: Partial<RunEnvironment> = {}) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const status = await runProgram(argv, {
    createEngine: (args) => {
      engine = new FakeEngine(args, scenario);
      return engine;
    },
    getApi: () => createDoors({ rebox: api }),
    configureGuest: () => undefined,
    nameModule: (handle, name) => void named.push([handle, name]),
    replaceModule: () => () => undefined,
    disposeModule: (handle) => void disposed.push(handle),
    serveMonitors: () => () => undefined,
    stdout,
    stderr,
    processEvents,
    exitNow: () => assert.fail("exitNow was called"),
    projectFolder: getProjectFolder(),
    graceMs: 200,
    ...changes,
  });
  return { status, stdout: String(stdout.read() ?? ""), stderr: String(stderr.read() ?? "") };
}

function script(name: string, ...lines: string[]): string {
  writeFileSync(name, lines.join("\n"));
  return name;
}

const INIT = "export function initialize_callbacks(handle, printer) { printer('hello ' + handle); }";
const CLEAN = "export function clean() { console.log('cleaned'); }";

function jsonLines(file: string): Record<string, unknown>[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("QEMU's arguments", () => {
  test("behind -- arrive unchanged and in order, even those that look like rebox's own", async () => {
    const args = ["-m", "512", "--script", "x", "-c", "", "--", "-append", "a b", "--help"];
    const { status } = await rebox(["run", "--", ...args]);
    assert.equal(status, 0);
    assert.deepEqual(engine?.argv, args);
  });

  test("come from ./pyrebox.conf without --, and not with it", async () => {
    writeFileSync("pyrebox.conf", "[QEMU]\nargs = -m 64 -name 'a b'\n[REBOX]\ncallback_limit_ms = 77\n");
    await rebox(["run"]);
    assert.deepEqual(engine?.argv, ["-m", "64", "-name", "a b"]);
    assert.equal(engine?.callbackLimitMs, 77);
    await rebox(["run", "--callback-limit", "99", "--"]);
    assert.deepEqual(engine?.argv, []);
    assert.equal(engine?.callbackLimitMs, 99);
  });

  test("get the monitor in front; a comma in its path is doubled", async () => {
    await rebox(["run", "--monitor", "none", "--", "-m", "1"]);
    assert.deepEqual(engine?.argv, ["-monitor", "none", "-m", "1"]);
    await rebox(["run", "--monitor", "stdio", "--", "-m", "1"]);
    assert.deepEqual(engine?.argv, ["-monitor", "stdio", "-m", "1"]);
    await rebox(["run", "--monitor", "unix:a,b", "--", "-m", "1"]);
    assert.deepEqual(engine?.argv, ["-monitor", "unix:a,,b,server=on,wait=off", "-m", "1"]);
  });
});

describe("the exit status is", () => {
  const guestEnds: [reason: "shutdown" | "crashed", cause: string, status: number, stderr: RegExp][] = [
    ["shutdown", "guest-shutdown", 0, /^$/],
    ["shutdown", "guest-reset", 0, /^$/],
    ["shutdown", "host-qmp-quit", 0, /^$/],
    ["shutdown", "guest-panic", 1, /rebox: the guest panicked/],
    ["crashed", "host-error", 70, /rebox: the engine crashed \(host-error\): bad luck/],
  ];
  for (const [reason, cause, expected, text] of guestEnds) {
    test(`${expected} after ${reason} by ${cause}`, async () => {
      const end = reason === "crashed" ? { reason, cause, message: "bad luck" } : { reason, cause };
      const { status, stderr } = await rebox(["run", "--", "-m", "1"], { onRun: (running) => running.finish(end) });
      assert.equal(status, expected);
      assert.match(stderr, text);
      assert.deepEqual(engine?.calls, ["run"]);
    });
  }

  test("0 when the time limit is reached, with a line that says so", async () => {
    const { status, stderr } = await rebox(["run", "--timeout", "0.05", "--", "-m", "1"], {});
    assert.equal(status, 0);
    assert.match(stderr, /time limit of 0\.05 s reached/);
    assert.deepEqual(engine?.calls, ["run", "quit"]);
  });

  test("1 when QEMU refuses its arguments, without a second message; 0 when it was asked for help", async () => {
    for (const exitStatus of [1, 0]) {
      const createEngine = () => {
        throw Object.assign(new Error("-foo: invalid option"), { name: "EngineStartError", exitStatus });
      };
      const { status, stderr } = await rebox(["run", "--", "-foo"], {}, { createEngine });
      assert.deepEqual([status, stderr], [exitStatus, ""]);
    }
  });

  test("1 when the engine refuses what callbacks cannot work with, with its sentence", async () => {
    const createEngine = () => {
      throw Object.assign(new Error("callbacks need TCG; remove -enable-kvm"), { name: "EngineUsageError" });
    };
    const { status, stderr } = await rebox(["run", "--", "-enable-kvm"], {}, { createEngine });
    assert.deepEqual([status, stderr], [1, "rebox: callbacks need TCG; remove -enable-kvm\n"]);
  });

  test("70 when the engine cannot be created for any other reason, does not stop, or refuses to", async () => {
    const createEngine = () => {
      throw new TypeError("native.create is not a function");
    };
    const fault = await rebox(["run", "--", "-m", "1"], {}, { createEngine });
    assert.equal(fault.status, 70);
    assert.match(fault.stderr, /internal error: TypeError: native\.create/);
    const hanging = await rebox(["run", "--timeout", "0.01", "--", "-m", "1"], { ignoresQuit: true });
    assert.equal(hanging.status, 70);
    assert.match(hanging.stderr, /did not stop within 0\.2 s/);
    const refusing = await rebox(["run", "--timeout", "0.01", "--", "-m", "1"], { refusesQuit: true });
    assert.equal(refusing.status, 70);
    assert.match(refusing.stderr, /did not stop.*: the main loop is gone/);
  });
});

describe("a command line that is wrong ends with 1 and says what to write:", () => {
  const cases: [argv: string[], stderr: RegExp][] = [
    [["run"], /nothing to run: put QEMU's arguments behind "--"/],
    [["run", "disk.img"], /"disk\.img" is no option of rebox run; QEMU's arguments go behind "--"/],
    [["run", "-m", "512"], /unknown option '-m'[\s\S]*behind "--"/],
    [["run", "-c", "none.conf", "--"], /none\.conf: there is no such file; name an existing one with -c/],
    [["run", "--timeout", "0", "--"], /'0' is invalid\. It must be a number of seconds from 0\.001 to 2147483/],
    [["run", "--timeout", "1e3", "--"], /'1e3' is invalid/],
    [["run", "--timeout", "9999999", "--"], /to 2147483\./],
    [["run", "--callback-limit", "1.5", "--"], /whole number of milliseconds from 1 to 3600000/],
    [["run", "--monitor", "tcp:1", "--"], /--monitor is "tcp:1"; it must be stdio, none or unix:PATH/],
    [["run", "--monitor", "unix:", "--"], /must be stdio, none or unix:PATH/],
    [["run", "--monitor", `unix:${"x".repeat(108)}`, "--"], /at most 107 bytes, this has 108/],
    [["run", "--json", "no/such/folder/log", "--"], /cannot write the JSON lines of --json: ENOENT/],
    [["runn"], /unknown command 'runn'/],
  ];
  for (const [argv, text] of cases) {
    test(`rebox ${argv.join(" ").slice(0, 40)}`, async () => {
      const { status, stderr } = await rebox(argv);
      assert.equal(status, 1);
      assert.match(stderr, text);
      assert.equal(engine, undefined);
    });
  }

  test("a configuration with a wrong value", async () => {
    writeFileSync("pyrebox.conf", "[MODULES]\nscripts.a: perhaps\n");
    const { status, stderr } = await rebox(["run", "--", "-m", "1"]);
    assert.equal(status, 1);
    assert.match(stderr, /^rebox: pyrebox\.conf:2: "scripts\.a" is "perhaps"/);
  });
});

describe("scripts", () => {
  test("of [MODULES] are loaded before those of --script, before the guest runs, and cleaned after it", async () => {
    writeFileSync("pyrebox.conf", "[MODULES]\nfirst: True\nother: no\n[MODULS]\n");
    script("first.js", INIT, CLEAN);
    script("second.ts", INIT.replace("(handle, printer)", "(handle: number, printer: (text: string) => void)"), CLEAN);
    const { status, stdout, stderr } = await rebox(["run", "--script", "second.ts", "--", "-m", "1"]);
    assert.equal(status, 0);
    assert.equal(stdout, "[first] hello 1\n[second] hello 2\ncleaned\ncleaned\n");
    assert.match(stderr, /pyrebox\.conf:4: warning: unknown section \[MODULS\]/);
    assert.deepEqual(named, [
      [1, "first"],
      [2, "second"],
    ]);
    assert.deepEqual(disposed, [2, 1]);
  });

  test("that do not load end the run with 1 before the guest runs, and those before them are cleaned", async () => {
    script("good.js", INIT, CLEAN);
    script("bad.ts", "type A = 1;", "export function initialize_callbacks() {", "  undefined.x;", "}", CLEAN);
    const { status, stdout, stderr } = await rebox([
      "run",
      "--script",
      "good.js",
      "--script",
      "bad.ts",
      "--",
      "-m",
      "1",
    ]);
    assert.equal(status, 1);
    assert.match(stderr, /rebox: \/.*bad\.ts:3:\d+: initialize_callbacks\(\) threw TypeError.*\n {6}undefined\.x;\n/);
    assert.match(stdout, /hello 1\ncleaned\n/);
    assert.deepEqual(engine?.calls, ["quit"]);
  });

  test("that do not exist end the run with 1", async () => {
    const { status, stderr } = await rebox(["run", "--script", "none.ts", "--", "-m", "1"]);
    assert.equal(status, 1);
    assert.match(stderr, /rebox: none\.ts: there is no such file \(looked for \/.*none\.ts\)/);
  });

  test("whose clean() throws, or never ends, do not keep the run from ending", async () => {
    script("throws.js", INIT, "export function clean() { throw new Error('dirty'); }");
    script("hangs.js", INIT, "export function clean() { return new Promise(() => {}); }");
    const { status, stderr } = await rebox(["run", "--script", "hangs.js", "--script", "throws.js", "--", "-m", "1"]);
    assert.equal(status, 0);
    assert.match(stderr, /throws\.js:2:\d+: clean\(\) threw Error: dirty/);
    assert.match(stderr, /hangs\.js: clean\(\) did not end within 0\.2 s/);
  });

  test("cannot move the cursor with what they print, but may use colours", async () => {
    script(
      "p.js",
      "export function initialize_callbacks(h, printer) { printer('a\\x1b[2Jb\\x07\\n\\x1b[31mred\\x1b[0m\\r'); }",
      CLEAN,
    );
    const { stdout } = await rebox(["run", "--script", "p.js", "--", "-m", "1"]);
    assert.equal(stdout, "[p] a\\x1b[2Jb\\x07\n[p] \x1b[31mred\x1b[0m\\x0d\ncleaned\n");
  });
});

describe("errors in callbacks", () => {
  const failure = (callback: string, text: string, count: number, removed = false) => {
    return { callback, script: "scripts.a", error: new Error(text), count, removed };
  };

  test("are printed once with their stack, then counted; a removal is printed too; the total comes at the end", async () => {
    const onRun = (running: FakeEngine) => {
      running.emit("callbackError", failure("cb1", "one", 1));
      running.emit("callbackError", failure("cb1", "again", 2));
      running.emit("callbackError", failure("cb2", "two", 1));
      running.emit("callbackError", failure("cb1", "cut off", 5000, true));
      running.finish({ reason: "shutdown", cause: "guest-shutdown" });
    };
    const { status, stderr } = await rebox(["run", "--json", "log", "--", "-m", "1"], { onRun });
    assert.equal(status, 0);
    assert.match(stderr, /rebox: callback cb1 of scripts\.a failed: Error: one\n {4}at [\s\S]*The guest goes on/);
    assert.doesNotMatch(stderr, /again/);
    assert.match(stderr, /cut off[\s\S]*It was removed/);
    assert.match(
      stderr,
      /5001 failures in callbacks: cb1 of scripts\.a failed 5000 times; cb2 of scripts\.a failed 1 time\n/,
    );
    assert.equal(jsonLines("log").filter(({ type }) => type === "callbackError").length, 3);
    assert.equal(jsonLines("log").at(-1)?.callbackErrors, 5001);
  });

  test("and in timers and promises of a script are the script's, and the guest goes on", async () => {
    script(
      "t.js",
      'import { later } from "rebox";',
      "export function initialize_callbacks() {",
      "  later.push(() => { throw new Error('tick'); });",
      "}",
      CLEAN,
    );
    const onRun = (running: FakeEngine) => {
      for (let time = 0; time < 2; time++) {
        try {
          api.later[0]?.();
        } catch (error) {
          processEvents.emit("uncaughtException", error);
        }
      }
      running.finish({ reason: "shutdown", cause: "guest-shutdown" });
    };
    const { status, stderr } = await rebox(["run", "--trust", "--script", "t.js", "--", "-m", "1"], { onRun });
    assert.equal(status, 0);
    assert.equal(stderr.match(/callback \(timer or promise\) of t failed: Error: tick\n {4}at .*t\.js:3:/g)?.length, 1);
    assert.match(stderr, /2 failures in callbacks/);
  });

  test("even those of which Node does not say where they come from", async () => {
    script("t.js", INIT, CLEAN);
    const onRun = (running: FakeEngine) => {
      processEvents.emit(
        "unhandledRejection",
        Object.assign(new Error("refused"), { stack: "Error: refused\n    at node:net:1:2" }),
      );
      running.finish({ reason: "shutdown", cause: "guest-shutdown" });
    };
    const { status, stderr } = await rebox(["run", "--script", "t.js", "--", "-m", "1"], { onRun });
    assert.equal(status, 0);
    assert.match(stderr, /callback \(timer or promise\) of a script failed: Error: refused/);
  });

  test("but an error in rebox's own code is a fault: the guest is stopped, status 70", async () => {
    script("t.js", INIT, CLEAN);
    const stack = `Error: inner defect\n    at f (${getProjectFolder()}/src/cli/x.ts:1:2)`;
    const onRun = () => processEvents.emit("unhandledRejection", Object.assign(new Error("inner defect"), { stack }));
    const { status, stderr } = await rebox(["run", "--script", "t.js", "--", "-m", "1"], { onRun });
    assert.equal(status, 70);
    assert.match(stderr, /internal error: Error: inner defect\n {4}at /);
    assert.deepEqual(engine?.calls, ["run", "quit"]);
  });
});

describe("the sandbox", () => {
  const TELL = [
    "export function initialize_callbacks(h, print) { print(typeof process); }",
    "export function clean() {}",
  ];

  test("is for every script, but for those that --trust or pyrebox.conf trust", async () => {
    for (const name of ["own", "trusted", "given"]) script(`${name}.js`, ...TELL);
    writeFileSync("pyrebox.conf", "[MODULES]\nown: yes\ntrusted: yes\n[PERMISSIONS]\ntrusted: *\n");
    const sandboxed = await rebox(["run", "--script", "given.js", "--", "-m", "1"]);
    assert.equal(sandboxed.stdout, "[own] undefined\n[trusted] object\n[given] undefined\n");
    const given = await rebox(["run", "--trust", "--script", "given.js", "--", "-m", "1"]);
    assert.equal(given.stdout, "[own] undefined\n[trusted] object\n[given] object\n");
  });

  test("goes by a script's file: another file of a trusted script's name is not trusted", async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), "rebox-elsewhere-"));
    try {
      script("trusted.js", ...TELL);
      script(join(elsewhere, "trusted.js"), ...TELL);
      writeFileSync("pyrebox.conf", "[PERMISSIONS]\ntrusted: *\n");
      const { stdout } = await rebox(["run", "--script", join(elsewhere, "trusted.js"), "--", "-m", "1"]);
      assert.equal(stdout, "[trusted] undefined\n");
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });
});

describe("--watch", () => {
  test("reloads a script when it is saved, says so, and keeps the old one when the new one is broken", async () => {
    const version = (text: string) => [
      "export function initialize_callbacks(h, print) { print('" + text + "'); }",
      CLEAN,
    ];
    script("w.js", ...version("first"));
    const untilLogged = async (what: string) => {
      for (let tries = 0; tries < 500 && !readFileSync("log", "utf8").includes(what); tries++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const onRun = async (running: FakeEngine) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      script("w.js", ...version("second"));
      await untilLogged('"reloaded"');
      script("w.js", "export const = 1;");
      await untilLogged('"scriptError"');
      running.finish({ reason: "shutdown", cause: "guest-shutdown" });
    };
    const { stdout, stderr } = await rebox(["run", "--watch", "--json", "log", "--script", "w.js", "--", "-m", "1"], {
      onRun: (running) => void onRun(running),
    });
    assert.equal(stdout, "[w] first\n[w] second\ncleaned\ncleaned\n");
    assert.match(stderr, /rebox: w is reloaded: version 2, in \d+ ms\n/);
    assert.match(stderr, /w\.js:1:14: Expected identifier[^]*rebox: w was not reloaded: its old version goes on/);
    assert.deepEqual(
      jsonLines("log")
        .filter(({ type }) => type === "reloaded")
        .map(({ script: name, version: number }) => [name, number]),
      [["w", 2]],
    );
  });
});

describe("--json", () => {
  test("writes one line for each event, with its time and its place in the order", async () => {
    script("s.js", INIT, CLEAN);
    const onRun = (running: FakeEngine) => {
      running.emit("paused", { pc: 0x10n });
      running.finish({ reason: "shutdown", cause: "guest-shutdown" });
    };
    await rebox(["run", "--script", "s.js", "--json", "log", "--", "-m", "1"], { onRun });
    let last = { sequence: -1, monotonicMs: 0 };
    const lines = jsonLines("log").map(({ time, sequence, monotonicMs, ...rest }) => {
      assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      const moment = { sequence: Number(sequence), monotonicMs: Number(monotonicMs) };
      assert.ok(
        moment.sequence > last.sequence && moment.monotonicMs >= last.monotonicMs,
        JSON.stringify([last, moment]),
      );
      last = moment;
      return rest;
    });
    const s = { script: "s", handle: 1 };
    const file = join(process.cwd(), "s.js");
    assert.deepEqual(lines, [
      { type: "start", qemuArgs: ["-m", "1"], scripts: ["s.js"] },
      { type: "message", ...s, text: "hello 1" },
      { type: "loaded", ...s, file },
      { type: "running" },
      { type: "paused", pc: "0x10" },
      { type: "shutdown", reason: "shutdown", cause: "guest-shutdown" },
      { type: "unloaded", ...s, file },
      { type: "end", status: 0, callbackErrors: 0, reason: "shutdown", cause: "guest-shutdown" },
    ]);
  });

  test("on standard output leaves everything for people to standard error", async () => {
    script("s.js", INIT, CLEAN);
    const { stdout, stderr } = await rebox(["run", "--script", "s.js", "--json", "-", "--", "-m", "1"]);
    for (const line of stdout.trim().split("\n")) JSON.parse(line);
    assert.equal(stderr, "[s] hello 1\ncleaned\n");
  });

  test("on a full disk says that the log is incomplete, and the status is not 0", async (t) => {
    if (!existsSync("/dev/full")) return t.skip("there is no /dev/full");
    const { status, stderr } = await rebox(["run", "--json", "/dev/full", "--", "-m", "1"]);
    assert.equal(status, 1);
    assert.match(stderr, /the JSON log \/dev\/full is incomplete: ENOSPC/);
  });

  test("says why a run was refused", async () => {
    await rebox(["run", "--script", "none.ts", "--json", "log", "--", "-m", "1"]);
    const last = jsonLines("log").at(-1);
    assert.equal(last?.reason, "refused");
    assert.match(String(last?.message), /none\.ts: there is no such file/);
  });
});

describe("--monitor unix:PATH", () => {
  test("refuses a path that is taken, and leaves what is there alone", async (t) => {
    writeFileSync("file", "precious");
    const taken = await rebox(["run", "--monitor", "unix:file", "--", "-m", "1"]);
    assert.equal(taken.status, 1);
    assert.match(taken.stderr, /file exists and is no socket/);
    assert.equal(readFileSync("file", "utf8"), "precious");

    const server = createServer().listen("busy");
    t.after(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const busy = await rebox(["run", "--monitor", "unix:busy", "--", "-m", "1"]);
    assert.equal(busy.status, 1);
    assert.match(busy.stderr, /another program listens on busy/);
    assert.ok(existsSync("busy"));
  });

  test("removes the socket at the end, however the run ends", async (t) => {
    const ends: FakeEngineScenario[] = [SHUTDOWN, { ignoresQuit: true }, { refusesQuit: true }];
    for (const end of ends) {
      const server = createServer();
      t.after(() => server.close());
      const onRun = (running: FakeEngine) => void server.listen("socket", () => end.onRun?.(running));
      await rebox(["run", "--monitor", "unix:socket", "--timeout", "0.2", "--", "-m", "1"], { ...end, onRun });
      assert.ok(!existsSync("socket"));
    }
  });
});

test("a run leaves no listener on the process behind", async () => {
  await rebox(["run", "--", "-m", "1"]);
  assert.deepEqual(processEvents.eventNames(), []);
});

test("rebox --version names rebox, QEMU and Node; --help names the commands", async () => {
  const version = await rebox(["--version"]);
  assert.equal(version.status, 0);
  assert.match(version.stdout, /^rebox \d+\.\d+\.\d+\nQEMU .+\nNode v\d+\.\d+\.\d+\n$/);
  const help = await rebox(["--help"]);
  assert.equal(help.status, 0);
  for (const command of ["run", "doctor", "check"]) assert.match(help.stdout, new RegExp(`^ {2}${command} `, "m"));
});
