import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { after, afterEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import type { ScriptError } from "../../src/scripts/errors";
import { ScriptReloader } from "../../src/scripts/script-reloader";
import { CLEAN, INIT, ScriptFolder } from "../kit/scripts/script-folder";

const folders: ScriptFolder[] = [];
const reloaders: ScriptReloader[] = [];

function open(permissions = "none"): ScriptFolder {
  const folder = new ScriptFolder(permissions);
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  for (const reloader of reloaders.splice(0)) reloader.close();
  for (const folder of folders.splice(0)) await folder.remove();
});
after(stopCompiler);

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries++) await sleep(10);
  assert.ok(condition(), String(condition));
}

/** A script that says what happens to it. */
function version(name: string, more = ""): string[] {
  return [
    'import { hot } from "rebox";',
    "let print: (text: string) => void;",
    "export function initialize_callbacks(handle: number, printer: (text: string) => void): any {",
    `  print = printer; print("${name} begins with " + handle + " " + hot.data.count);`,
    "  hot.data.count = Number(hot.data.count ?? 0) + 1;",
    `  ${more}`,
    "}",
    `export function clean() { print("${name} ends"); }`,
    `export function do_which() { return "${name}"; }`,
  ];
}

for (const permissions of ["none", "*"]) {
  describe(`a reload ${permissions === "*" ? "of a trusted script" : "in the sandbox"}`, () => {
    test("begins with the new version, then ends the old one; handle and hot.data stay", async () => {
      const folder = open(permissions);
      folder.write("s.ts", ...version("old"));
      const { handle } = await folder.host.load("s");
      folder.write("s.ts", ...version("new"));
      const reloaded = await folder.host.reload(handle);
      assert.deepEqual([reloaded.handle, reloaded.version], [handle, 2]);
      assert.deepEqual(folder.messages, ["old begins with 1 undefined", "new begins with 1 1", "old ends"]);
      assert.equal(await folder.host.runCommand("which"), "new");
      assert.equal(folder.host.list().length, 1);
    });

    test("that fails leaves the old version as it was: syntax, contract, top level, initialize, hot.data, a command's name", async () => {
      const folder = open(permissions);
      folder.write("other.ts", INIT, CLEAN, "export function do_taken() {}");
      await folder.host.load("other");
      folder.write("s.ts", ...version("old"));
      const { handle } = await folder.host.load("s");
      const bad: [string[], RegExp][] = [
        [["const = 1;"], /Expected identifier/],
        [[INIT], /does not export the function "clean"/],
        [["throw new Error('top');", INIT, CLEAN], /its top level threw Error: top/],
        [version("bad", "setInterval(() => print('left over'), 1); throw new Error('init');"), /threw Error: init/],
        [version("bad", "return Promise.reject(new Error('later'));"), /threw Error: later/],
        [
          [...version("bad"), "export const requirements = ['nothing'];"],
          /it requires nothing: there is no such script/,
        ],
        [[...version("bad"), "export const requirements = ['s'];"], /circle: s -> s/],
        [[...version("bad"), "export function do_taken() {}"], /command "taken" exists already, in other/],
      ];
      for (const [lines, reason] of bad) {
        folder.write("s.ts", ...lines);
        assert.match((await folder.refusal(folder.host.reload(handle))).message, reason);
        assert.equal(await folder.host.runCommand("which"), "old");
      }
      folder.messages.length = 0;
      await sleep(10);
      assert.deepEqual(folder.messages, []);
      folder.write("s.ts", ...version("good"));
      await folder.host.reload(handle);
      assert.deepEqual(folder.messages, ["good begins with 2 1", "old ends"]);
    });

    test("is refused when hot.data holds what cannot be copied, and copies what can", async () => {
      const folder = open(permissions);
      const fill =
        "hot.data.all = [1n, new Map([['k', new Set([1])]]), new Date(5), new Uint8Array([7])]; hot.data.self = hot.data;";
      const show =
        "const [a, b, c, d] = hot.data.all as any; print([a, b.get('k').has(1), c.getTime(), d[0], hot.data.self === hot.data].join());";
      folder.write("s.ts", ...version("old", fill));
      const { handle } = await folder.host.load("s");
      folder.write("s.ts", ...version("new", `${show} hot.data.f = () => 1;`));
      await folder.host.reload(handle);
      assert.ok(folder.messages.includes("1,true,5,7,true"), folder.messages.join("\n"));
      assert.match((await folder.refusal(folder.host.reload(handle))).message, /hot\.data cannot be copied/);
      assert.equal(await folder.host.runCommand("which"), "new");
    });

    test("goes on when the old version's clean() throws or never ends", async () => {
      const folder = new ScriptFolder(permissions, { cleanMs: 400 });
      folders.push(folder);
      for (const [name, body] of [
        ["a", "throw new Error('dirty')"],
        ["b", "return new Promise(() => {})"],
        ["c", "for (;;);"],
      ] as const) {
        folder.write(`${name}.ts`, "export function initialize_callbacks() {}", `export function clean() { ${body} }`);
        const { handle } = await folder.host.load(name);
        folder.write(`${name}.ts`, INIT, CLEAN);
        assert.equal((await folder.host.reload(handle)).version, 2);
      }
      assert.match(
        folder.warnings.join("\n"),
        /a\.ts:2:.*dirty[^]*did not end within 0.4 s[^]*did not return within 0.4 s/,
      );
    });
  });
}

describe("reloads and unloads of one script at the same time", () => {
  test("are carried out one after the other", async () => {
    const folder = open();
    folder.write("s.ts", ...version("v"));
    const { handle } = await folder.host.load("s");
    const results = await Promise.allSettled([
      folder.host.reload(handle),
      folder.host.reload(handle),
      folder.host.unload(handle),
      folder.host.reload(handle),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "fulfilled", "fulfilled", "rejected"],
    );
    assert.deepEqual(folder.host.list(), []);
    assert.equal(folder.messages.filter((text) => text === "v ends").length, 3);
  });
});

describe("requirements across a reload", () => {
  test("new ones are loaded, those that nobody needs any more are unloaded", async () => {
    const folder = open();
    folder.write("a.ts", INIT, CLEAN);
    folder.write("b.ts", INIT, CLEAN);
    folder.write("s.ts", INIT, CLEAN, "export const requirements = ['a'];");
    const { handle } = await folder.host.load("s");
    folder.write("s.ts", INIT, CLEAN, "export const requirements = ['b'];");
    await folder.host.reload(handle);
    assert.deepEqual(
      folder.host.list().map(({ name }) => name),
      ["s", "b"],
    );
    folder.write("b.ts", INIT, CLEAN, "export const requirements = ['s'];");
    const b = folder.host.list().find(({ name }) => name === "b");
    assert.match((await folder.refusal(folder.host.reload(b?.handle ?? 0))).message, /circle: b -> s -> b/);
  });
});

describe("--watch", () => {
  function watch(folder: ScriptFolder) {
    const events: string[] = [];
    reloaders.push(
      new ScriptReloader(folder.host, {
        onReloaded: ({ name, version: number }) => events.push(`${name} ${number}`),
        onRefused: (error: ScriptError) => events.push(error.problem),
      }),
    );
    return events;
  }

  test("reloads when the script or a file that it imports is saved, in place or by a rename, once for each save", async () => {
    const folder = open();
    folder.write("lib.ts", "export const text = 'one';");
    const lines = ['import { text } from "./lib";', "export function do_text() { return text; }", INIT, CLEAN];
    const file = folder.write("s.ts", ...lines);
    folder.write("bystander.ts", INIT, CLEAN);
    await folder.host.load("s");
    await folder.host.load("bystander");
    const events = watch(folder);
    folder.write("lib.ts", "export const text = 'two';");
    await until(() => events.length === 1);
    assert.equal(await folder.host.runCommand("text"), "two");
    writeFileSync(`${file}.swp`, [...lines, "export function do_more() { return 'more'; }"].join("\n"));
    renameSync(`${file}.swp`, file);
    await until(() => events.length === 2);
    assert.equal(await folder.host.runCommand("more"), "more");
    for (let save = 0; save < 5; save++) {
      folder.write("lib.ts", `export const text = 'burst ${save}';`);
      await sleep(5);
    }
    await until(() => events.length === 3);
    // Nothing has changed: an editor that only touches the file.
    folder.write("lib.ts", "export const text = 'burst 4';");
    await sleep(200);
    assert.deepEqual(events, ["s 2", "s 3", "s 4"]);
    assert.equal(await folder.host.runCommand("text"), "burst 4");
  });

  test("notices a save while the script is being loaded, and reloads the script once it is", async () => {
    for (const saved of ["lib.ts", "s.ts"]) {
      const folder = open();
      const script = (text: string) => [
        'import { text } from "./lib";',
        "export function initialize_callbacks(_handle: number, print: (text: string) => void): Promise<void> {",
        `  print(text + " ${text}");`,
        "  return new Promise((resolve) => setTimeout(resolve, 400));",
        "}",
        CLEAN,
      ];
      folder.write("lib.ts", "export const text = 'one';");
      folder.write("s.ts", ...script("one"));
      await sleep(20);
      const events = watch(folder);
      // It has begun, and its file is no longer read.
      folder.host.once("message", () =>
        saved === "lib.ts" ? folder.write(saved, "export const text = 'two';") : folder.write(saved, ...script("two")),
      );
      const { version: loaded } = await folder.host.load("s");
      assert.equal(loaded, 1);
      assert.deepEqual(events, []);
      await until(() => events.length > 0);
      await sleep(200);
      assert.deepEqual(events, ["s 2"]);
      assert.deepEqual(folder.messages, ["one one", saved === "lib.ts" ? "two one" : "one two"]);
    }
  });

  test("notices a save between the compiler's reading and the first look at the file, in a load and in a reload", async () => {
    const folder = open();
    folder.write("first.ts", "export const text = 'one';");
    folder.write("next.ts", "export const text = 'three';");
    const script = (lib: string) => [
      `import { text } from "./${lib}";`,
      ...["export function do_text() { return text; }", INIT, CLEAN],
    ];
    folder.write("s.ts", ...script("first"));
    await sleep(20);
    // It listens before the reloader does.
    const saves: (() => void)[] = [
      () => folder.write("first.ts", "export const text = 'two';"),
      () => undefined,
      () => folder.write("next.ts", "export const text = 'four';"),
    ];
    folder.host.on("compiled", () => saves.shift()?.());
    const events = watch(folder);
    await folder.host.load("s");
    await until(() => events.length === 1);
    assert.equal(await folder.host.runCommand("text"), "two");
    folder.write("s.ts", ...script("next"));
    await until(() => events.length === 3);
    assert.equal(await folder.host.runCommand("text"), "four");
    await sleep(200);
    assert.deepEqual(events, ["s 2", "s 3", "s 4"]);
  });

  test("reports a broken save and goes on with the next; also when the broken file is new to the script", async () => {
    const folder = open();
    folder.write("s.ts", INIT, CLEAN, "export function do_which() { return 'first'; }");
    await folder.host.load("s");
    const events = watch(folder);
    folder.write("lib.ts", "export const which = ;");
    folder.write("s.ts", 'import { which } from "./lib";', INIT, CLEAN, "export function do_which() { return which; }");
    await until(() => events.length === 1);
    assert.match(events[0] ?? "", /Unexpected ";"/);
    assert.equal(await folder.host.runCommand("which"), "first");
    folder.write("lib.ts", "export const which = 'second';");
    await until(() => events.length === 2);
    assert.equal(await folder.host.runCommand("which"), "second");
  });
});

describe("commands", () => {
  test("have their function's JSDoc as help, and get the rest of the line", async () => {
    const folder = open();
    folder.write(
      "s.ts",
      INIT,
      CLEAN,
      "/**",
      " * Sets the target.",
      " *",
      " * @param line the process' name",
      " */",
      "export async function do_set_target(line: string): Promise<string> { return `<${line}>`; }",
      "/* no JSDoc */ export const do_bare = () => 5;",
    );
    await folder.host.load("s");
    assert.deepEqual(
      folder.host.listCommands().map(({ name, help, script }) => [name, help, script]),
      [
        ["bare", "", "s"],
        ["set_target", "Sets the target.\n\n@param line the process' name", "s"],
      ],
    );
    assert.equal(await folder.host.runCommand("  set_target  a  b "), "<a  b>");
    assert.equal(await folder.host.runCommand("bare"), undefined);
    assert.match(
      (await folder.refusal(folder.host.runCommand("nope"))).message,
      /no such command; there are: bare, set/,
    );
  });

  test("with a name that exists are refused, and both scripts are named; the name is free when its script is gone", async () => {
    const folder = open();
    for (const name of ["a", "b"]) folder.write(`${name}.ts`, INIT, CLEAN, "export function do_same() { return 1; }");
    const { handle } = await folder.host.load("a");
    assert.match(
      (await folder.refusal(folder.host.load("b"))).message,
      /b\.ts: its command "same" exists already, in a; rename do_same/,
    );
    await folder.host.unload(handle);
    assert.deepEqual(folder.host.listCommands(), []);
    await folder.host.load("b");
  });

  test("that throw, now or later, are reported with file and line, and can be run again", async () => {
    for (const permissions of ["none", "*"]) {
      const folder = open(permissions);
      folder.write(
        "s.ts",
        INIT,
        CLEAN,
        "export function do_now() { throw new Error('now'); }",
        "export async function do_later() {",
        "  await 1; throw new Error('later'); }",
      );
      await folder.host.load("s");
      for (let time = 0; time < 2; time++) {
        assert.match(
          (await folder.refusal(folder.host.runCommand("now"))).message,
          /s\.ts:3:\d+: do_now\(\) threw Error: now/,
        );
        assert.match(
          (await folder.refusal(folder.host.runCommand("later"))).message,
          /s\.ts:5:\d+: do_later\(\) threw Error: later/,
        );
      }
    }
  });
});
