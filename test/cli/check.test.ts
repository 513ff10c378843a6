import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, test } from "node:test";
import { createCheckCommand } from "../../src/cli/check/check-command";
import { doors } from "../../src/doors/doors";
import { getProjectFolder } from "../../src/config/folders";

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "rebox-check-")));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, ...lines: string[]): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, lines.join("\n"));
  return file;
}

async function check(...files: string[]): Promise<{ status: number; output: string }> {
  const stdout = new PassThrough();
  let status = -1;
  const command = createCheckCommand(
    stdout,
    getProjectFolder(),
    () => doors,
    (value) => {
      status = value;
    },
  );
  await command.parseAsync(files, { from: "user" });
  return { status, output: String(stdout.read() ?? "") };
}

const FINE = [
  "export function initialize_callbacks(handle: number): void { void handle; }",
  "export function clean() {}",
];

describe("rebox check", () => {
  test("checks a module as a module: with every door, without the functions of a script, and with its types", async () => {
    const source = (options: string) => [
      'import { Auxiliary } from "rebox/lab";',
      `export default class Mine extends Auxiliary { override start() { this.log.info(${options}); } }`,
    ];
    const fine = write("modules/auxiliary/fine.ts", ...source("this.name"));
    assert.deepEqual(await check(fine), { status: 0, output: `${fine}: ok\n` });
    const wrong = write("modules/auxiliary/wrong.ts", ...source("this.nmae"));
    assert.match((await check(wrong)).output, /wrong\.ts:2:.*Property 'nmae' does not exist/);
    const elsewhere = write("fine.ts", ...source("this.name"));
    assert.match((await check(elsewhere)).output, /"rebox\/lab" is for trusted scripts/);
  });

  test("accepts a script without faults, with Node's types", async () => {
    const file = write("fine.ts", 'import { readFileSync } from "node:fs";', "void readFileSync;", ...FINE);
    assert.deepEqual(await check(file), { status: 0, output: `${file}: ok\n` });
  });

  test("names type errors with file, line and column, also in imported files", async () => {
    write("lib/part.ts", "export const size: number = 'big';");
    const file = write(
      "wrong.ts",
      'import { size } from "./lib/part";',
      "const text: string = size;",
      "void text;",
      ...FINE,
    );
    const { status, output } = await check(file);
    assert.equal(status, 1);
    assert.match(
      output,
      /lib\/part\.ts:1:14: error TS2322: Type 'string' is not assignable to type 'number'\.\n {4}export/,
    );
    assert.match(output, /wrong\.ts:2:7: error TS2322: .*\n {4}const text: string = size;\n {10}\^\n/);
  });

  test("knows what will be there: a name for trusted scripts is refused unless the script is one", async () => {
    const lines = ['import { BP } from "rebox/trusted";', "void BP;", ...FINE];
    const file = write("stops.ts", ...lines);
    const refused = await check(file);
    assert.equal(refused.status, 1);
    assert.match(refused.output, /stops\.ts:1:\d+: "rebox\/trusted" is for trusted scripts; .*: --trust/);
    assert.deepEqual(await check("--trust", file), { status: 0, output: `${file}: ok\n` });
    write("pyrebox.conf", "[PERMISSIONS]", "stops: *");
    assert.deepEqual(await check("-c", join(folder, "pyrebox.conf"), file), { status: 0, output: `${file}: ok\n` });
    const named = write("named.ts", "", 'import { BP } from "rebox";', "void BP;", ...FINE);
    assert.match(
      (await check(named)).output,
      /named\.ts:2:\d+: BP is for trusted scripts: it comes from "rebox\/trusted", .*: --trust/,
    );
    assert.match(
      (await check("--trust", named)).output,
      /named\.ts:2:\d+: BP comes from "rebox\/trusted", not from "rebox"/,
    );
    const typed = write("typed.ts", 'import type { BP } from "rebox";', "export const found: BP[] = [];", ...FINE);
    assert.match((await check(typed)).output, /typed\.ts:1:15: error TS2305: .* has no exported member 'BP'/);
  });

  test("follows the strictness of the script's own tsconfig.json", async () => {
    const file = write("loose.ts", "function f(x) { return x; }", "void f;", ...FINE);
    assert.match((await check(file)).output, /TS7006/);
    write("tsconfig.json", '{"compilerOptions":{"strict":false,"composite":true,"outDir":"out"}}');
    assert.deepEqual(await check(file), { status: 0, output: `${file}: ok\n` });
  });

  test("names what does not compile, and goes on with the next script", async () => {
    const broken = write("broken.ts", "let = ;");
    const fine = write("fine.ts", ...FINE);
    const { status, output } = await check(broken, fine);
    assert.equal(status, 1);
    assert.match(output, /broken\.ts:1:\d+: /);
    assert.match(output, /fine\.ts: ok\n$/);
  });

  test("names missing exports without running the script", async () => {
    const file = write("none.ts", "throw new Error('was run');", "export {};");
    const { status, output } = await check(file);
    assert.equal(status, 1);
    assert.match(output, /none\.ts:1:1: it does not export the function "initialize_callbacks"/);
    assert.match(output, /none\.ts:1:1: it does not export the function "clean"/);
  });

  test("names a file that is not there", async () => {
    const { status, output } = await check(join(folder, "absent.ts"));
    assert.equal(status, 1);
    assert.match(output, /absent\.ts: there is no such file/);
  });
});
