import assert from "node:assert/strict";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { CLEAN, INIT, ScriptFolder } from "../kit/scripts/script-folder";

after(stopCompiler);

const PROVIDER = [
  "let count = 0;",
  "export const register = () => ++count;",
  "export const later = async (by: bigint) => ({ by, count });",
  "export const fail = () => { throw new RangeError('not so'); };",
  "export const list = [1, 2];",
  "export const do_count = () => String(count);",
];
const USER = [
  'import { register, later, fail, list } from "./provider";',
  'import * as all from "./provider";',
  'export const requirements = ["provider"];',
  "register();",
  "export const do_use = async () => {",
  "  try { fail(); } catch (error) { return [(error as Error).name, (error as Error).message, list.length, ",
  "    (await later(7n)).by, all.register()].join(' '); }",
  "};",
  "export const do_register = () => String(register());",
];

for (const [title, provider, user] of [
  ["both in the sandbox", "none", "none"],
  ["both trusted", "*", "*"],
  ["a trusted script requires one in the sandbox", "none", "*"],
  ["a script in the sandbox that may load scripts requires a trusted one", "*", "modules"],
] as const) {
  describe(`a script uses the exports of the script that it requires: ${title}`, () => {
    let folder: ScriptFolder;

    beforeEach(() => {
      folder = new ScriptFolder({ provider, user });
      folder.write("provider.ts", ...PROVIDER, INIT, CLEAN);
      folder.write("user.ts", ...USER, INIT, CLEAN);
    });
    afterEach(() => folder.remove());

    test("they share one instance, and what crosses is the same", async () => {
      await folder.host.load("user");
      assert.equal(await folder.host.runCommand("count"), "1");
      assert.equal(await folder.host.runCommand("use"), "RangeError not so 2 7 2");
      assert.equal(await folder.host.runCommand("count"), "2");
    });

    test("a reload of the one that requires keeps the other's state", async () => {
      const { handle } = await folder.host.load("user");
      await folder.host.reload(handle);
      assert.equal(await folder.host.runCommand("count"), "2");
    });

    test("a reload of the required one: the other uses the new version at once, without a reload of its own", async () => {
      await folder.host.load("user");
      const [required, dependent] = folder.host.list();
      folder.write("provider.ts", ...PROVIDER.map((line) => line.replace("count = 0", "count = 40")), INIT, CLEAN);
      await folder.host.reload(required!.handle);
      assert.equal(await folder.host.runCommand("register"), "41");
      assert.equal(await folder.host.runCommand("count"), "41");
      assert.equal(folder.host.list()[1]?.version, dependent!.version);
      assert.ok(!dependent!.files.includes(required!.file), "the required file is not compiled in");
    });
  });
}

describe("a script uses no exports of", () => {
  test("a script that may do more than it, without a permission", async () => {
    const folder = new ScriptFolder({ provider: "fs:results", user: "none" });
    folder.write("provider.ts", ...PROVIDER, INIT, CLEAN);
    folder.write("user.ts", ...USER, INIT, CLEAN);
    const { message } = await folder.refusal(folder.host.load("user"));
    assert.match(
      message,
      /user may not use the exports of provider, which may do more than it; to permit it: .*modules/,
    );
    assert.deepEqual(folder.host.list(), []);
    await folder.remove();
  });

  test("a requirement that is not there: a name that is not exported says so when it is used", async () => {
    const folder = new ScriptFolder("none");
    folder.write("provider.ts", INIT, CLEAN);
    folder.write("user.ts", ...USER, INIT, CLEAN);
    assert.match((await folder.refusal(folder.host.load("user"))).message, /user\.ts:4:\d+: .*register/);
    await folder.remove();
  });
});
