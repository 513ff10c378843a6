import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TRUSTED } from "../../src/config/script-permissions";
import { createDoors } from "../../src/scripts/loading/doors";
import { ScriptError } from "../../src/scripts/errors";
import { ScriptHost } from "../../src/scripts/script-host";
import type { ScriptMessage } from "../../src/scripts/script-host-options";

let folder: string;
let host: ScriptHost;
let messages: ScriptMessage[];
let unloaded: number[];
const api = { marker: "the running rebox", calls: [] as unknown[] };

beforeEach(() => {
  // A name with everything that a URL or a source map could trip over.
  folder = realpathSync(mkdtempSync(join(tmpdir(), "rebox scripts#%20ü-")));
  api.calls = [];
  messages = [];
  unloaded = [];
  host = new ScriptHost({
    folders: [folder],
    getApi: () => createDoors({ rebox: api }),
    getPermissions: () => TRUSTED,
    onUnload: (handle) => unloaded.push(handle),
  });
  host.on("message", (message) => messages.push(message));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, ...lines: string[]): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, lines.join("\n"));
  return file;
}

const CLEAN = "export function clean() {}";
const INIT = "export function initialize_callbacks() {}";

async function refusal(loading: Promise<unknown>): Promise<ScriptError> {
  try {
    await loading;
  } catch (error) {
    assert.ok(error instanceof ScriptError, String(error));
    return error;
  }
  return assert.fail("the script was loaded");
}

test("a script has one name, whatever the current folder is; a name in module notation is kept", async () => {
  const before = process.cwd();
  const file = write("deep/er/my_script.ts", INIT, CLEAN);
  write("deep/fixed/inner.ts", INIT, CLEAN);
  const namesFrom = async (current: string, ...asked: string[]): Promise<string[]> => {
    process.chdir(current);
    const folders = [join(folder, "deep/fixed"), "."];
    const own = new ScriptHost({ folders, getApi: () => createDoors({ rebox: api }), getPermissions: () => TRUSTED });
    const names: string[] = [];
    for (const one of asked) {
      const { handle, name } = await own.load(one);
      names.push(name, (await own.reload(handle)).name);
      await own.unload(handle);
    }
    return names;
  };
  try {
    for (const current of ["/", folder, join(folder, "deep"), join(folder, "deep/er")]) {
      const names = await namesFrom(current, file, join(folder, "deep/fixed/inner.ts"), "inner");
      assert.deepEqual(names, ["my_script", "my_script", "inner", "inner", "inner", "inner"], current);
    }
    assert.deepEqual(await namesFrom(folder, "deep.er.my_script"), ["deep.er.my_script", "deep.er.my_script"]);
  } finally {
    process.chdir(before);
  }
});

describe("a script", () => {
  test("gets its handle, a printer, and the running rebox, in whatever folder it lies", async () => {
    const file = write(
      "deep/er/my_script.ts",
      'import { marker } from "rebox";',
      "export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void): void {",
      '  printer(marker + " " + moduleHandle);',
      "}",
      CLEAN,
    );
    const script = await host.load(file);
    assert.deepEqual([script.handle, script.name, script.file], [1, "deep.er.my_script", file]);
    assert.deepEqual(messages, [{ handle: 1, script: "deep.er.my_script", text: "the running rebox 1" }]);
    assert.deepEqual(
      host.list().map(({ name }) => name),
      ["deep.er.my_script"],
    );
  });

  test("is found by module notation, as TypeScript before JavaScript", async () => {
    write("scripts/both.js", "throw new Error('wrong one')");
    write("scripts/both.ts", INIT, CLEAN);
    assert.equal((await host.load("scripts.both")).file, join(folder, "scripts/both.ts"));
  });

  test("may be CommonJS, an ES module, or use require", async () => {
    write("lib.js", "exports.text = 'from lib';");
    write(
      "a.js",
      "const lib = require('./lib'); exports.initialize_callbacks = (h, p) => p(lib.text); exports.clean = () => {};",
    );
    write("b.mjs", "import lib from './lib.js'; export const initialize_callbacks = (h, p) => p(lib.text);", CLEAN);
    await host.load("a");
    await host.load("b");
    assert.deepEqual(
      messages.map(({ text }) => text),
      ["from lib", "from lib"],
    );
  });

  test("imports files beside it, Node's modules, and npm packages found from its own folder", async () => {
    write("lab/node_modules/cjs-pack/index.js", "module.exports = { text: 'cjs ' + __dirname };");
    write("lab/node_modules/esm-pack/package.json", '{"type":"module","exports":{"import":"./main.js"}}');
    write("lab/node_modules/typed-pack/package.json", '{"type":"module","main":"./main.js"}');
    write("lab/node_modules/typed-pack/main.js", "export const text = 'typed';");
    write("lab/node_modules/esm-pack/main.js", "export const text = 'esm';");
    write(
      "lab/part/values.ts",
      'import { basename } from "path"; export const value: string = basename("/x/relative");',
    );
    write(
      "lab/main.ts",
      'import { text as cjs } from "cjs-pack";',
      'import { text as esm } from "esm-pack";',
      'import { text as typed } from "typed-pack";',
      'import { existsSync } from "node:fs";',
      'import { value } from "./part/values";',
      "export function initialize_callbacks(handle: number, printer: (text: string) => void) {",
      '  printer([cjs, esm, typed, existsSync("/"), value].join("|"));',
      "}",
      CLEAN,
    );
    const script = await host.load("lab.main");
    assert.equal(messages[0]?.text, `cjs ${join(folder, "lab/node_modules/cjs-pack")}|esm|typed|true|relative`);
    const compiledIn = ["part/values.ts", "node_modules/esm-pack/main.js", "node_modules/typed-pack/main.js"];
    for (const file of compiledIn) assert.ok(script.files.includes(join(folder, "lab", file)), file);
    assert.equal(script.files.length, 4);
  });

  test("shares one instance of a CommonJS package with every other script", async () => {
    write("node_modules/counter/index.js", "let count = 0; exports.next = () => ++count;");
    const lines = [
      'import { next } from "counter";',
      "export const initialize_callbacks = (h, p) => p(String(next()));",
      CLEAN,
    ];
    write("a.js", ...lines);
    write("b.js", ...lines);
    await host.load("a");
    await host.load("b");
    assert.deepEqual(
      messages.map(({ text }) => text),
      ["1", "2"],
    );
  });

  test("may initialize asynchronously, and counts as loaded only then", async () => {
    write(
      "slow.ts",
      'import { calls } from "rebox";',
      "export async function initialize_callbacks() {",
      "  await new Promise((resolve) => setTimeout(resolve, 20)); calls.push('ready');",
      "}",
      CLEAN,
    );
    const loading = host.load("slow");
    assert.deepEqual(host.list(), []);
    await loading;
    assert.deepEqual(api.calls, ["ready"]);
    assert.equal(host.list().length, 1);
  });

  test("is loaded once, also when it is asked for twice at the same time", async () => {
    write("once.ts", 'import { calls } from "rebox"; export function initialize_callbacks() { calls.push(1); }', CLEAN);
    const [first, second] = await Promise.all([host.load("once"), host.load("once.ts".replace(/^/, `${folder}/`))]);
    assert.equal(first, second);
    assert.equal(await host.load("once"), first);
    assert.deepEqual(api.calls, [1]);
  });

  test("prints whatever it likes: a printer takes any value", async () => {
    write(
      "p.ts",
      "export function initialize_callbacks(h: number, printer: (x: unknown) => void) {",
      "  printer({ a: 1n }); printer(undefined); printer(Object.create(null));",
      "}",
      CLEAN,
    );
    await host.load("p");
    assert.deepEqual(
      messages.map(({ text }) => text),
      ["{ a: 1n }", "undefined", "[Object: null prototype] {}"],
    );
  });
});

describe("a stack names the script's own file and line", () => {
  test("of an error in a callback that is called later", async () => {
    write(
      "lib/thrower.ts",
      "interface Nothing { a: number }",
      "interface Neither { b: number }",
      "",
      "export function explode(text: string): never {",
      "  throw new Error(text);",
      "}",
    );
    const file = write(
      "late.ts",
      'import { calls } from "rebox";',
      'import { explode } from "./lib/thrower";',
      "",
      "interface Gone { c: number }",
      "export function initialize_callbacks() {",
      "  calls.push(() => explode('late'));",
      "}",
      CLEAN,
    );
    await host.load("late");
    await sleep(1);
    const callback = api.calls[0] as () => void;
    assert.throws(callback, (error: Error) => {
      assert.ok(error.stack?.includes(`${join(folder, "lib/thrower.ts")}:5:9`), error.stack);
      assert.ok(error.stack?.includes(`${file}:6:`), error.stack);
      assert.equal(host.findOrigin(error)?.script, "late");
      return true;
    });
    assert.equal(host.findOrigin(new Error("from elsewhere")), undefined);
  });

  test("of an error in initialize_callbacks, in the top level, and in clean", async () => {
    const init = write("init.ts", "type A = 1;", "export function initialize_callbacks() {", "  null.x;", "}", CLEAN);
    const error = await refusal(host.load("init"));
    assert.match(error.message, /init\.ts:3:\d+: initialize_callbacks\(\) threw TypeError: /);
    assert.equal(error.place?.file, init);
    assert.equal(error.place?.sourceLine, "  null.x;");
    assert.match(error.toReport(), /\n {6}null\.x;\n +\^\nTypeError.*\n {4}at .*init\.ts:3:\d+\)$/);

    write("top.ts", "type A = 1;", "", "throw new RangeError('top');", INIT, CLEAN);
    assert.match((await refusal(host.load("top"))).message, /top\.ts:3:7: its top level threw RangeError: top/);

    write("tidy.ts", "type A = 1;", INIT, "export async function clean() {", "  throw new Error('dirty');", "}");
    const { handle } = await host.load("tidy");
    assert.match((await refusal(host.unload(handle))).message, /tidy\.ts:4:9: clean\(\) threw Error: dirty/);
    assert.deepEqual(host.list(), []);
  });

  test("of something thrown that is no Error there is none, but the file", async () => {
    write("odd.ts", "export function initialize_callbacks() { throw Object.create(null); }", CLEAN);
    assert.match(
      (await refusal(host.load("odd"))).message,
      /odd\.ts: initialize_callbacks\(\) threw a value that cannot/,
    );
  });
});

describe("a script that does not compile is refused with its place:", () => {
  test("a syntax error", async () => {
    write("broken.ts", "const fine = 1;", "\tconst ü = = 2;");
    const error = await refusal(host.load("broken"));
    assert.match(error.message, /broken\.ts:2:12: Unexpected "="/);
    assert.equal(error.toReport().split("\n")[1], "     const ü = = 2;");
    assert.equal(error.toReport().split("\n")[2], `${" ".repeat(15)}^`);
  });

  test("a syntax error in a file that it imports", async () => {
    write("lib/bad.ts", "let x: = 1;");
    write("uses.ts", 'import "./lib/bad";', INIT, CLEAN);
    assert.match((await refusal(host.load("uses"))).message, /lib\/bad\.ts:1:8: /);
  });

  test("imports of something missing, all of them", async () => {
    write("missing.ts", 'import a from "./nowhere";', 'import b from "no-such-package";', "console.log(a, b);");
    const { message } = await refusal(host.load("missing"));
    assert.match(message, /missing\.ts:1:15: Could not resolve "\.\/nowhere"/);
    assert.match(message, /missing\.ts:2:15: Could not resolve "no-such-package"/);
  });

  test("a part of rebox that does not exist", async () => {
    write("sub.ts", 'import x from "rebox/internal"; console.log(x);');
    assert.match((await refusal(host.load("sub"))).message, /sub\.ts:1:15: there is no "rebox\/internal"/);
  });
});

describe("a script that breaks the contract is refused:", () => {
  test("initialize_callbacks or clean missing, or no function, with an example", async () => {
    write("a.ts", CLEAN);
    write("b.ts", INIT);
    write("c.ts", INIT, "export const clean = 5;");
    assert.match(
      (await refusal(host.load("a"))).message,
      /a\.ts: it does not export the function "initialize_callbacks".*\n.*export function initialize/,
    );
    assert.match((await refusal(host.load("b"))).message, /b\.ts: it does not export the function "clean"/);
    assert.match((await refusal(host.load("c"))).message, /its "clean" is a number, not a function/);
  });

  test("requirements that are no list of names", async () => {
    write("a.ts", INIT, CLEAN, "export const requirements = 'scripts.b';");
    assert.match((await refusal(host.load("a"))).message, /"requirements" must be a list of names/);
  });

  test("no such script, a folder, another kind of file, a nonsensical name", async () => {
    mkdirSync(join(folder, "dir.ts"));
    write("text.txt", "");
    assert.match(
      (await refusal(host.load("scripts.none"))).message,
      /^scripts\.none: there is no such script; looked for \/.*scripts\/none\.ts/,
    );
    assert.match((await refusal(host.load(`${folder}/none.ts`))).message, /there is no such file/);
    assert.match((await refusal(host.load(`${folder}/dir.ts`))).message, /not a file/);
    assert.match((await refusal(host.load(`${folder}/text.txt`))).message, /TypeScript or JavaScript/);
    assert.match((await refusal(host.load("a b"))).message, /neither a path nor a name/);
  });
});

describe("a script that fails to initialize", () => {
  test("leaves nothing behind: clean() is tried, the rest is disposed of, and it can be loaded once it is mended", async () => {
    write(
      "bad.ts",
      'import { calls } from "rebox";',
      "export function initialize_callbacks() { throw new Error('first'); }",
      "export function clean() { calls.push('clean'); throw new Error('second'); }",
    );
    const error = await refusal(host.load("bad"));
    assert.match(error.message, /first/);
    assert.deepEqual([api.calls, unloaded, host.list()], [["clean"], [1], []]);
    write("bad.ts", INIT, CLEAN);
    assert.equal((await host.load("bad")).handle, 2);
  });

  test("takes with it the requirements that were loaded only for it, and no others", async () => {
    write("asked.ts", INIT, CLEAN);
    write("deep.ts", INIT, CLEAN);
    write("needed.ts", INIT, CLEAN, "export const requirements = ['deep'];");
    write(
      "fails.ts",
      "export function initialize_callbacks() { throw 1; }",
      CLEAN,
      "export const requirements = ['asked', 'needed'];",
    );
    await host.load("asked");
    await refusal(host.load("fails"));
    assert.deepEqual(
      host.list().map(({ name }) => name),
      ["asked"],
    );
  });
});

describe("requirements", () => {
  test("are loaded first, each once, and cannot be unloaded under the script that needs them", async () => {
    write("scripts/base.ts", INIT, CLEAN);
    write("scripts/left.ts", INIT, CLEAN, "export const requirements = ['scripts.base'];");
    write("scripts/top.ts", INIT, CLEAN, "export const requirements = ['scripts.left', 'scripts.base'];");
    const top = await host.load("scripts.top");
    assert.deepEqual(
      host.list().map(({ name }) => name),
      ["scripts.base", "scripts.left", "scripts.top"],
    );
    assert.deepEqual(top.requirements, [2, 1]);
    assert.match((await refusal(host.unload(1))).message, /scripts\.base: scripts\.left requires it/);
    assert.equal(host.list().length, 3);
  });

  test("that are missing name the script that asks for them", async () => {
    write("a.ts", INIT, CLEAN, "export const requirements = ['scripts.none'];");
    assert.match((await refusal(host.load("a"))).message, /a\.ts: it requires scripts\.none: there is no such script/);
  });

  test("in a circle are refused by the chain of names", async () => {
    write("a.ts", INIT, CLEAN, "export const requirements = ['b'];");
    write("b.ts", INIT, CLEAN, "export const requirements = ['c'];");
    write("c.ts", INIT, CLEAN, "export const requirements = ['a'];");
    write("self.ts", INIT, CLEAN, "export const requirements = ['self'];");
    assert.match((await refusal(host.load("a"))).message, /circle: c -> a -> b -> c/);
    assert.match((await refusal(host.load("self"))).message, /circle: self -> self/);
    assert.deepEqual(host.list(), []);
  });

  test("in a circle are refused also when both ends are asked for at once", { timeout: 10_000 }, async () => {
    write("a.ts", INIT, CLEAN, "export const requirements = ['b'];");
    write("b.ts", INIT, CLEAN, "export const requirements = ['a'];");
    const results = await Promise.allSettled([host.load("a"), host.load("b")]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "rejected"],
    );
  });
});

describe("unloading", () => {
  test("calls clean() and then disposes what it forgot", async () => {
    write("a.ts", 'import { calls } from "rebox";', INIT, "export function clean() { calls.push('clean'); }");
    const { handle } = await host.load("a");
    await host.unload(handle);
    assert.deepEqual([api.calls, unloaded, host.list()], [["clean"], [1], []]);
    assert.equal((await host.load("a")).handle, 2);
  });

  test("an unknown handle is refused and the known ones are named", async () => {
    write("a.ts", INIT, CLEAN);
    await host.load("a");
    assert.match((await refusal(host.unload(7))).message, /module 7: no script has this handle; loaded are: 1/);
  });

  test("everything goes backwards, and on after a clean() that throws", async () => {
    const lines = (name: string) => [
      'import { calls } from "rebox";',
      INIT,
      `export function clean() { calls.push("${name}"); throw new Error("${name}"); }`,
    ];
    for (const name of ["a", "b", "c"]) {
      write(`${name}.ts`, ...lines(name));
      await host.load(name);
    }
    const failures = await host.unloadAll();
    assert.deepEqual([api.calls, unloaded, failures.length], [["c", "b", "a"], [3, 2, 1], 3]);
  });
});
