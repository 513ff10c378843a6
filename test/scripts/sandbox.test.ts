import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { doors } from "../../src/doors/doors";
import { SANDBOX_NAMES } from "../../src/scripts/sandbox/sandbox-api";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { CLEAN, ScriptFolder } from "../kit/scripts/script-folder";
import { BUILT } from "../kit/project";

const folders: ScriptFolder[] = [];

function open(...args: ConstructorParameters<typeof ScriptFolder>): ScriptFolder {
  const folder = new ScriptFolder(...args);
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove();
});
after(stopCompiler);

/** Lines for a script: what each expression gives, or the message of what it throws. */
function attempt(...expressions: string[]): string {
  return expressions
    .map((text) => `try { print(String(${text})); } catch (error) { print("threw " + error.message); }`)
    .join("\n");
}

describe("in the sandbox", () => {
  test("a script has rebox, Node's harmless modules, timers and a console, and errors name its own file and line", async () => {
    const folder = open();
    folder.write("lib/part.ts", "type Gone = 1;", "export const part: string = 'part';");
    folder.write(
      "s.ts",
      "type Gone = 1;",
      'import { ALL_PROCESSES, CallbackManager, Engine } from "rebox";',
      'import { join } from "node:path";',
      'import { Buffer } from "buffer";',
      'import { setTimeout as sleep } from "node:timers/promises";',
      'import { part } from "./lib/part";',
      "export async function initialize_callbacks(h: number, print: (x: unknown) => void) {",
      "  await sleep(5);",
      "  print([part, join('a', '..', 'b'), ALL_PROCESSES, CallbackManager.MEM_READ_CB, Engine.find()]);",
      "  print(Buffer.from('hé').toString('hex') + ' ' + new TextEncoder().encode('é').length);",
      "  print({ a: 1n, b: new Map([[1, new Set(['x'])]]), c: Object.create(null), d: undefined });",
      "}",
      "export function clean() {}",
      "export function do_fail() { const x: any = null; return x.y; }",
    );
    await folder.host.load("s");
    assert.deepEqual(folder.messages, [
      "[ 'part', 'b', 18446744073709551615n, 'MEM_READ_CB', undefined ]",
      "68c3a9 2",
      "{ a: 1n, b: Map(1) { 1 => Set(1) { 'x' } }, c: [Object: null prototype] {}, d: undefined }",
    ]);
    const error = await folder.refusal(folder.host.runCommand("fail"));
    assert.match(error.message, /s\.ts:14:\d+: do_fail\(\) threw TypeError: Cannot read properties of null/);
    assert.match(error.toReport(), /\n {4}at .*s\.ts:14:\d+/);
  });

  test("errors of rebox reach the script as errors of its own realm, with their class", async () => {
    const printed = await open().run(
      attempt(
        "rebox.readVa(1n, 2n, 3) ",
        "(() => { try { rebox.getBlockCount() } catch (e) { return e instanceof Error && e.name } })()",
        "rebox.writeIoPort('x' as any, 1, 1)",
        "new rebox.CallbackManager(h + 1)",
      ),
      'import * as rebox from "rebox";',
    );
    assert.match(printed[0]!, /^threw /);
    assert.equal(printed[1], "EngineUsageError");
    assert.equal(printed[2], "threw argument 1 of writeIoPort() is a string; it must be a number");
    assert.match(printed[3]!, /^threw module handle \d+ is not this script's/);
  });

  test('there is every function of the door "rebox", and no other', () => {
    const functions = Object.entries(doors.rebox).filter(
      ([, value]) => typeof value === "function" || typeof value === "object",
    );
    assert.deepEqual(
      functions.map(([name]) => name).sort(),
      [...SANDBOX_NAMES].sort(),
      "declare what is new in src/scripts/sandbox/operations, or export it by another door",
    );
  });

  test("the list of its names is what a script finds, and all of it is rebox's", async () => {
    const [printed = ""] = await open().run(
      `print(Object.keys(rebox).filter((name) => name !== "default" && /function|object/.test(typeof (rebox as any)[name])).sort().join());`,
      'import * as rebox from "rebox";',
    );
    assert.deepEqual(printed.split(","), [...SANDBOX_NAMES].sort());
    assert.deepEqual(
      SANDBOX_NAMES.filter((name) => !(name in doors.rebox)),
      [],
    );
  });

  test("errors of rebox keep their class, their text and their code, also when they reject a promise", async () => {
    const printed = await open("modules").run(
      `const show = (e: any) => print([e instanceof rebox.ScriptError, e instanceof Error, e.name, e.code, e.message]);
       try { rebox.listModules(); } catch (error) { show(error); }
       return rebox.unloadModule(99).catch(show);`,
      'import * as rebox from "rebox";',
    );
    const line =
      "[ true, true, 'ScriptError', 'REBOX_SCRIPT', 'scripts: there is no run whose scripts could be loaded: rebox run' ]";
    assert.deepEqual(printed, [line, line]);
  });

  test("an error of rebox names the script's file and line, whether it is thrown or rejects a promise", async () => {
    const folder = open("modules");
    folder.write(
      "places.ts",
      'import { getBlockCount, unloadModule, vaToPa } from "rebox";',
      "export function initialize_callbacks() {}",
      "export function clean() {}",
      "const ask = (n: number): bigint => (n > 0 ? ask(n - 1) : vaToPa(0n, 0n));",
      "export const do_plain = () => { getBlockCount(); };",
      "export const do_deep = () => { ask(3); };",
      "export const do_late = async () => {",
      "  await Promise.resolve();",
      "  await unloadModule(99);",
      "};",
    );
    await folder.host.load("places");
    for (const [command, name, line] of [
      ["plain", "EngineUsageError", 5],
      ["deep", "EngineUsageError", 4],
      ["late", "ScriptError", 9],
    ] as const) {
      // prettier-ignore
      const error = await folder.refusal(folder.host.runCommand(command));
      assert.match(error.message, new RegExp(`places\\.ts:${line}:\\d+: do_${command}\\(\\) threw ${name}: `));
      assert.match(error.toReport(), new RegExp(`\\n {4}at .*places\\.ts:${line}:\\d+`));
    }
  });

  test("there is no process, no module of Node's that could do harm, and no code from text", async () => {
    const printed = await open().run(
      attempt(
        "typeof process",
        "typeof (globalThis as any).process",
        "typeof module.constructor._load",
        "require('fs').readFileSync('/etc/passwd')",
        "require('node:net')",
        "require('child_process')",
        "require('vm')",
        "require('worker_threads')",
        "require(['..', '..', 'etc', 'passwd'].join('/'))",
        "new Function('return 1')()",
        "(0, eval)('1 + 1')",
        "(async () => {}).constructor('return 1')()",
        "typeof SharedArrayBuffer + typeof Atomics + typeof WebAssembly",
      ),
      "declare const module: any, process: any, require: any;",
    );
    assert.deepEqual(printed.slice(0, 3), ["undefined", "undefined", "undefined"]);
    assert.match(printed[3]!, /^threw run may not use "fs"; to permit it: \[PERMISSIONS\] run: fs:FOLDER/);
    assert.match(printed[4]!, /^threw run may not use "net"/);
    assert.match(printed[5]!, /^threw run may not use "child_process"/);
    for (const line of printed.slice(6, 9)) assert.match(line, /^threw ".*" is not there in the sandbox/);
    for (const line of printed.slice(9, 12)) assert.match(line, /^threw /);
    assert.equal(printed[12], "undefinedundefinedundefined");
  });

  test("an import reads nothing that lies outside of the script's folder", async () => {
    const folder = open();
    writeFileSync(join(folder.path, "secret.json"), '{"key": 1}');
    writeFileSync(join(folder.path, "note.txt"), "note");
    for (const [target, reason] of [
      ["../secret.json", /is not below/],
      [join(folder.path, "secret.json"), /is not below/],
      ["./link.json", /is not below/],
    ] as const) {
      folder.write("in/s.ts", `import x from ${JSON.stringify(target)}; print(x);`, CLEAN);
      if (target.includes("link")) symlinkSync(join(folder.path, "secret.json"), join(folder.path, "in/link.json"));
      assert.match((await folder.refusal(folder.host.load("in.s"))).message, reason);
    }
    folder.write("t.ts", 'import x from "./note.txt"; print(x);', CLEAN);
    assert.match((await folder.refusal(folder.host.load("t"))).message, /neither code nor JSON/);
  });

  test("a package is the script's own copy, in the sandbox too", async () => {
    const folder = open();
    folder.write("node_modules/pack/index.js", "exports.kind = typeof process; exports.f = require('path').sep;");
    assert.deepEqual(await folder.run("print(kind + f);", 'import { kind, f } from "pack";'), ["undefined/"]);
  });
});

describe("the permission fs:", () => {
  const CALLS = 'import * as fs from "node:fs";';

  test("is for its folder, with all that lies below", async () => {
    const folder = open("fs:results");
    const file = join(folder.path, "results/deep/a.txt");
    const printed = await folder.run(
      `fs.mkdirSync(${JSON.stringify(join(folder.path, "results/deep"))}, { recursive: true });
       fs.writeFileSync(${JSON.stringify(file)}, "one");
       fs.appendFileSync(${JSON.stringify(file)}, Buffer.from("two"));
       print(fs.readFileSync(${JSON.stringify(file)}, "utf8") + fs.statSync(${JSON.stringify(file)}).size);
       print(fs.readdirSync(${JSON.stringify(join(folder.path, "results"))}));`,
      CALLS,
    );
    assert.deepEqual(printed, ["onetwo6", "[ 'deep' ]"]);
    assert.equal(readFileSync(file, "utf8"), "onetwo");
  });

  test("ends at its folder: not with .., not by a link, not by a link that leads nowhere", async () => {
    const folder = open("fs:results");
    mkdirSync(join(folder.path, "results"));
    writeFileSync(join(folder.path, "secret"), "secret");
    symlinkSync(join(folder.path, "secret"), join(folder.path, "results/link"));
    symlinkSync(folder.path, join(folder.path, "results/up"));
    symlinkSync(join(folder.path, "created"), join(folder.path, "results/dangling"));
    const path = (text: string) => JSON.stringify(join(folder.path, "results") + text);
    const printed = await folder.run(
      attempt(
        `fs.readFileSync(${path("/../secret")}, "utf8")`,
        `fs.readFileSync(${path("/link")}, "utf8")`,
        `fs.readFileSync(${path("/up/secret")}, "utf8")`,
        `fs.writeFileSync(${path("/dangling")}, "x")`,
        `fs.writeFileSync(${path("/up/new")}, "x")`,
        `fs.renameSync(${path("/link")}, ${path("/mine")})`,
        `fs.rmSync(${path("/..")}, { recursive: true })`,
        `fs.readFileSync({ toString: () => "/etc/passwd" } as any, "utf8")`,
        `fs.existsSync("/etc/passwd")`,
      ),
      CALLS,
    );
    for (const line of printed.slice(0, 8)) assert.match(line, /^threw run may not use /);
    assert.equal(printed[8], "false");
    assert.equal(existsSync(join(folder.path, "created")), false);
    assert.equal(existsSync(join(folder.path, "new")), false);
  });
});

describe("the permission net", () => {
  test("lets a script connect; without it, nothing of the sandbox reaches a server", async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.end("hello");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    try {
      const body = `return new Promise((resolve) => {
        const socket = require("net").connect(${port});
        socket.on("data", (data: any) => print(data.toString()));
        socket.on("close", resolve);
      });`;
      const top = "declare const require: any;";
      await assert.rejects(open().run(body, top), /may not use "net"/);
      assert.equal(connections, 0);
      assert.deepEqual(await open("net").run(body, top), ["hello"]);
      assert.equal(connections, 1);
    } finally {
      server.close();
    }
  });
});

describe("the permission child_process", () => {
  test("lets a script start programs", async () => {
    const body = 'print(require("child_process").execFileSync("echo", ["hi"], { encoding: "utf8" }));';
    const top = "declare const require: any;";
    assert.deepEqual(await open("child_process").run(body, top), ["hi\n"]);
    await assert.rejects(open("net, fs:x").run(body, top), /may not use "child_process"/);
  });
});

describe("a script that never returns is cut off", () => {
  // By the clock: on a busy machine what does return takes its time too.
  const LIMITS = { callMs: 1000, promiseMs: 2000, cleanMs: 1000 };

  test("in its top level, in initialize_callbacks, behind an await, in clean, and in a command", async () => {
    for (const permissions of ["none", "*"]) {
      const folder = open(permissions, LIMITS);
      folder.write("top.ts", "for (;;);", CLEAN);
      assert.match((await folder.refusal(folder.host.load("top"))).message, /its top level did not return within 1 s/);
      folder.write("init.ts", "export function initialize_callbacks() { for (;;); }", CLEAN);
      assert.match((await folder.refusal(folder.host.load("init"))).message, /initialize_callbacks\(\) did not return/);
      folder.write("never.ts", "export function initialize_callbacks() { return new Promise(() => {}); }", CLEAN);
      assert.match((await folder.refusal(folder.host.load("never"))).message, /promise did not settle within 2 s/);
      folder.write(
        "late.ts",
        "export function initialize_callbacks() {}",
        "export function clean() { for (;;); }",
        "export function do_loop() { for (;;); }",
      );
      const { handle } = await folder.host.load("late");
      assert.match((await folder.refusal(folder.host.runCommand("loop"))).message, /do_loop\(\) did not return/);
      assert.match((await folder.refusal(folder.host.unload(handle))).message, /clean\(\) did not return/);
      assert.deepEqual(folder.host.list(), []);
    }
  });

  test("in the sandbox also in a timer, in promises that go on for ever, and in what an error says about itself", () => {
    // In a process of its own: Node cannot stop a promise while test runners trace promises.
    const driver = join(BUILT, "test/kit/scripts/endless-driver.js");
    const { stdout, stderr } = spawnSync(process.execPath, [driver], { encoding: "utf8", timeout: 60_000 });
    assert.deepEqual(
      stdout.trim().split("\n"),
      [
        "TimeLimitError: a timer, listener or promise did not return within 1 s and was cut off",
        "initialize_callbacks() has promises that ran longer than 1 s and were cut off",
        "initialize_callbacks() has promises that ran longer than 1 s and were cut off",
        "initialize_callbacks() threw thrown: a value that cannot be shown as text",
        "another script still works",
      ],
      stderr,
    );
  });
});

describe("what a script leaves behind ends with it:", () => {
  test("timers of every kind, sandboxed or trusted", async () => {
    for (const permissions of ["none", "*"]) {
      const folder = open(permissions);
      folder.write(
        "t.ts",
        "export function initialize_callbacks(h: number, print: (x: string) => void) {",
        "  setInterval(() => print('interval'), 1);",
        "  setTimeout(() => print('timeout'), 1000);",
        "  const chain = () => { print('immediate'); setImmediate(chain); };",
        "  setImmediate(chain);",
        "  const cleared = setTimeout(() => print('cleared'), 1);",
        "  clearTimeout(cleared);",
        "}",
        CLEAN,
      );
      const { handle } = await folder.host.load("t");
      while (!folder.messages.includes("interval") || !folder.messages.includes("immediate")) await sleep(5);
      await folder.host.unload(handle);
      const before = folder.messages.length;
      assert.ok(!folder.messages.includes("cleared"));
      await sleep(1100);
      assert.equal(folder.messages.length, before);
    }
  });
});
