import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { after, test } from "node:test";
import ts from "typescript";
import { doors } from "../../src/doors/doors";
import { type Door, DOORS, listDoorNames } from "../../src/scripts/loading/doors";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { ExportedApi } from "../kit/documents/exported-api";
import { CLEAN, ScriptFolder } from "../kit/scripts/script-folder";

const api = new ExportedApi();

after(stopCompiler);

/** Names of one module of ours whose text is JavaScript for the test's own process. */
function fileOf(door: Door): string {
  return resolve(__dirname, `../../src/doors/${door === "rebox" ? "rebox" : door.slice("rebox/".length)}.js`);
}

test("each door exports the values that its types say, each of the kind that they say", () => {
  for (const door of DOORS) {
    const kinds = listDoorNames(doors, door).map((name) => [
      name,
      typeof (doors[door] as Record<string, unknown>)[name],
    ]);
    assert.deepEqual(Object.fromEntries(kinds), api.listValues(door));
  }
});

test("a name comes from one door; zod's alone is beside the settings of both kinds of modules", () => {
  const names = DOORS.flatMap((door) => listDoorNames(doors, door));
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    ["z"],
  );
});

test("everything that can be imported has a docstring", () => {
  assert.deepEqual(api.listUndocumented(), []);
});

test('the sandbox has at run time what "rebox" exports', async () => {
  const folder = new ScriptFolder();
  try {
    const [names] = await folder.run(
      'print(JSON.stringify(Object.entries(require("rebox")).map(([name, value]) => [name, typeof value])))',
      "declare const require: any;",
    );
    assert.deepEqual(Object.fromEntries(JSON.parse(names!) as [string, string][]), api.listValues("rebox"));
  } finally {
    await folder.remove();
  }
});

test("a sandboxed script that asks for what is for trusted scripts is refused at load, with place, door and how to trust it", async () => {
  const folder = new ScriptFolder({ trusted: "*", safe: "none" });
  const lines = (...top: string[]) => [...top, "export function initialize_callbacks() {}", CLEAN];
  const refuse = async (...top: string[]) => {
    folder.write("safe.ts", ...lines(...top));
    return (await folder.refusal(folder.host.load("safe"))).message;
  };
  const name = /safe\.ts:2:\d+: BP is for trusted scripts: it comes from "rebox\/trusted", .*: --trust, or \*/;
  try {
    assert.match(await refuse("// It stops the guest.", 'import { BP } from "rebox"; new BP(1n);'), name);
    assert.match(
      await refuse('import * as rebox from "rebox";', "export const f = () => new (rebox as any).BP(1n);"),
      name,
    );
    assert.match(
      await refuse('import { BP } from "rebox/trusted";', "new BP(1n);"),
      /safe\.ts:1:\d+: "rebox\/trusted" is for trusted scripts; .*: --trust, or \*/,
    );
    assert.match(
      await refuse('import { readPb } from "rebox";', "readPb();"),
      /"rebox" exports no readPb; did you mean readPa\?/,
    );
    assert.match(
      await refuse('import "rebox/none";'),
      /there is no "rebox\/none"; there are "rebox", "rebox\/trusted"/,
    );
    folder.write(
      "safe.js",
      "exports.initialize_callbacks = () => {",
      "  require('rebox').BP;",
      "};",
      "exports.clean = () => {};",
    );
    const { message } = await folder.refusal(folder.host.load("safe.js".replace(/^/, `${folder.path}/`)));
    assert.match(
      message,
      /safe\.js:2:\d+: initialize_callbacks\(\) threw TypeError: BP is for trusted scripts: it comes/,
    );
    folder.write(
      "trusted.ts",
      ...lines('import { BP } from "rebox/trusted";', 'import type { Cpu } from "rebox";', "BP; export type C = Cpu;"),
    );
    await folder.host.load("trusted");
    folder.write("wrong.ts", ...lines('import { BP } from "rebox";', "BP;"));
  } finally {
    await folder.remove();
  }
});

test("importing a door does nothing: the process ends by itself, and nothing is registered", () => {
  for (const door of DOORS) {
    const program = `
      const before = process.eventNames().length;
      require(${JSON.stringify(fileOf(door))});
      console.log(process.eventNames().length - before, process.getActiveResourcesInfo().filter((name) => name !== "TTYWrap" && name !== "PipeWrap").length);`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ["-e", program], {
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.deepEqual([status, stdout, stderr], [0, "0 0\n", ""], door);
  }
});

/** What a file of src/ calls as soon as it is imported. */
function listCalls(file: string): string[] {
  const source = ts.createSourceFile(file, ts.sys.readFile(file)!, ts.ScriptTarget.ES2022);
  return source.statements
    .filter((statement) => ts.isExpressionStatement(statement))
    .map(
      (statement) => `${file.slice(SRC.length + 1)}: ${source.text.slice(statement.getStart(source), statement.end)}`,
    );
}

const SRC = resolve(__dirname, "../../../../src");
/** Programs of their own, and the code that runs in browsers, in the server's threads and inside each sandbox: no door imports them. */
const PROGRAMS =
  /^(cli\/(main|.*-main|.*\/.*-main)\.ts$|lab\/network\/namespace-main\.ts$|server\/browser\/page\.ts$|server\/results\/work-thread\.ts$|scripts\/sandbox\/realm\/)/;

test("no file of src/ does anything when it is imported, except programs", () => {
  const files = ts.sys.readDirectory(SRC, [".ts"]).filter((file) => !PROGRAMS.test(file.slice(SRC.length + 1)));
  assert.deepEqual(files.flatMap(listCalls), []);
});
