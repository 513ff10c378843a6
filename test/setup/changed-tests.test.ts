import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { PROJECT } from "../kit/project";

interface ChangedTests {
  chooseTests(sources: ReadonlyMap<string, string>, changed: readonly string[]): string[];
  findChangedFiles(root: string, since?: string): { base: string; files: string[] };
  readSources(root: string): Map<string, string>;
}

const load = async () =>
  (await import(pathToFileURL(join(PROJECT, "native/setup/changed-tests.mjs")).href)) as ChangedTests;

const SOURCES = new Map([
  ["src/doors/rebox.ts", 'export { read } from "../guest/read";'],
  ["src/guest/read.ts", 'import { parse } from "./parse";'],
  ["src/guest/parse.ts", ""],
  ["src/shell/show.ts", 'import type { Parsed } from "../guest/parse";\nimport { read } from "../guest/read";'],
  ["scripts/parts/labels.ts", ""],
  ["scripts/tree.ts", 'import { label } from "./parts/labels";'],
  ["test/kit/runs.ts", 'import * as rebox from "../../src/doors/rebox";\nexport const TASK = "sleepers";'],
  ["test/kit/driver.ts", ""],
  ["test/guest/read.boot.test.ts", 'import { run } from "../kit/runs";'],
  ["test/shell/show.test.ts", 'import {\n  show,\n} from "../../src/shell/show";'],
  ["test/shell/lines.test.ts", 'const DRIVER = join(BUILT, "test/kit/driver.js"); run("texts/lines.md");'],
  ["test/scripts/tree.boot.test.ts", 'run("scripts/tree.ts");'],
]);

test("a changed file calls for the tests that import it, and for those of its room", async () => {
  const { chooseTests } = await load();
  const both = ["test/guest/read.boot.test.ts", "test/shell/show.test.ts"];
  assert.deepEqual(chooseTests(SOURCES, ["src/guest/parse.ts"]), both);
  assert.deepEqual(chooseTests(SOURCES, ["src/shell/gone.ts"]), [
    "test/shell/lines.test.ts",
    "test/shell/show.test.ts",
  ]);
  assert.deepEqual(chooseTests(SOURCES, ["test/kit/driver.ts"]), ["test/shell/lines.test.ts"]);
  assert.deepEqual(chooseTests(SOURCES, ["test/shell/show.test.ts"]), ["test/shell/show.test.ts"]);
  assert.deepEqual(chooseTests(SOURCES, []), []);
});

test("the front doors lead everywhere, so a change is not followed through them", async () => {
  const { chooseTests } = await load();
  const sources = new Map([...SOURCES, ["test/cli/all.test.ts", 'import { run } from "../kit/runs";']]);
  assert.ok(!chooseTests(sources, ["src/guest/parse.ts"]).includes("test/cli/all.test.ts"));
  assert.ok(chooseTests(sources, ["src/doors/rebox.ts"]).includes("test/cli/all.test.ts"));
});

test("documents, scripts and guest programs are found by name, also in what a test uses", async () => {
  const { chooseTests } = await load();
  assert.deepEqual(chooseTests(SOURCES, ["texts/guides/lines.md"]), ["test/shell/lines.test.ts"]);
  assert.deepEqual(chooseTests(SOURCES, ["texts/line.md"]), []);
  assert.deepEqual(chooseTests(SOURCES, ["scripts/parts/labels.ts"]), ["test/scripts/tree.boot.test.ts"]);
  assert.deepEqual(chooseTests(SOURCES, ["native/guest/tasks/sleepers"]), ["test/guest/read.boot.test.ts"]);
});

test("native code calls for the boot tests of machine and guest", async () => {
  const { chooseTests } = await load();
  assert.deepEqual(chooseTests(SOURCES, ["native/qemu/accesses.c"]), ["test/guest/read.boot.test.ts"]);
});

test("in this project a parser calls for its test, and this file for the tests of set-up", async () => {
  const { chooseTests, readSources } = await load();
  const sources = readSources(PROJECT);
  assert.ok(chooseTests(sources, ["src/systems/symbols/btf.ts"]).includes("test/systems/btf.test.ts"));
  assert.ok(chooseTests(sources, ["native/setup/changed-tests.mjs"]).includes("test/setup/changed-tests.test.ts"));
});

test("changes are those since the branch left main, with new and removed files", async () => {
  const { findChangedFiles } = await load();
  const root = mkdtempSync(join(tmpdir(), "rebox-changed-"));
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...args], { cwd: root });
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  try {
    git("init", "--quiet", "--initial-branch=main");
    for (const name of ["a", "b", "c"]) write(`src/${name}.ts`, "1");
    git("add", ".");
    git("commit", "--quiet", "-m", "first");
    write("src/a.ts", "2");
    git("commit", "--quiet", "-am", "second");
    assert.deepEqual(findChangedFiles(root), { base: "HEAD~1", files: ["src/a.ts"] });
    git("checkout", "--quiet", "-b", "topic");
    write("src/b.ts", "2");
    git("commit", "--quiet", "-am", "third");
    rmSync(join(root, "src/c.ts"));
    write("src/d.ts", "1");
    assert.deepEqual(findChangedFiles(root).files, ["src/b.ts", "src/c.ts", "src/d.ts"]);
    assert.deepEqual(findChangedFiles(root, "HEAD").files, ["src/c.ts", "src/d.ts"]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
