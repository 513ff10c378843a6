import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { checkTypes, findTypeScript } from "../../src/cli/check/type-check";
import { doors } from "../../src/doors/doors";
import { runOperation } from "../../src/investigation/run-operations";
import { loadTrustedFile } from "../../src/scripts/loading/trusted-file";
import { readWritableFiles } from "../kit/documents/writable-files";
import { withModules } from "../kit/investigations/investigation-folder";
import { AuxiliaryFolder } from "../kit/lab/auxiliary-folder";
import { withFolder } from "../kit/lab/lab-folder";
import { PROJECT } from "../kit/project";

const FILES = readWritableFiles();
const BROKEN = "const nothing: any = null;\nnothing.x;\n";
const PLACE = /:2:9: its top level threw TypeError: Cannot read properties of null/;

test("every TypeScript file of the page has the right types", () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    const names = Object.keys(FILES).filter((name) => name.endsWith(".ts"));
    assert.equal(names.length, 9);
    for (const name of names) {
      const file = join(folder, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, FILES[name]!);
      assert.deepEqual(checkTypes(findTypeScript(file, PROJECT)!, file, PROJECT), [], name);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the investigations of the page answer, the persistent one with its configuration; a broken file is refused with its line", async () => {
  const files = {
    "hello.ts": FILES["modules/investigation/hello.ts"]!,
    "counter.ts": FILES["modules/investigation/counter.ts"]!,
    "broken.ts": BROKEN,
    "_shared.ts": BROKEN,
  };
  await withModules(files, async (folder) => {
    const ask = async (module: string, parameters: object) =>
      (await runOperation(folder, { module, parameters })).result;
    assert.deepEqual((await ask("hello", { name: "you" })).elements, { text: "hello you" });
    folder.write("conf/counter.cfg", "[counter]\nfirst = 7\n");
    await folder.persistent.start("counter");
    while (folder.persistent.list()[0]?.state !== "running") await new Promise((done) => setTimeout(done, 5));
    assert.deepEqual((await ask("counter", {})).elements, { count: 7 });
    assert.deepEqual((await ask("counter", {})).elements, { count: 8 });
    const { refused } = await folder.catalog.list();
    assert.equal(refused.length, 1);
    assert.match(refused[0]!.message, PLACE);
  });
});

test("the auxiliary module of the page starts with its private configuration; a broken file is refused with its line", async () => {
  const lab = new AuxiliaryFolder();
  try {
    for (const name of ["modules/auxiliary/greeter.ts", "modules/auxiliary/engine/loads.ts"]) {
      lab.write(name, FILES[name]!);
    }
    lab.write("modules/auxiliary/broken.ts", BROKEN);
    lab.write("modules/auxiliary/_shared.ts", BROKEN);
    lab.configure("[greeter]", "enabled = yes", "[broken]", "enabled = yes");
    const runner = lab.runner();
    await runner.start();
    assert.deepEqual(lab.acts, ["hello you"]);
    assert.deepEqual(
      runner.status.map(({ name, state }) => [name, state]),
      [
        ["broken", "failed"],
        ["greeter", "started"],
      ],
    );
    assert.match(runner.status[0]!.reason!, PLACE);
    lab.write("data/auxiliary/greeter.ts", FILES["data/auxiliary/greeter.ts"]!);
    await lab.runner().start();
    assert.equal(lab.acts.at(-1), "hello world");
    lab.write("data/auxiliary/greeter.ts", BROKEN);
    await lab.runner().start();
    assert.equal(lab.acts.at(-1), "hello you");
    assert.match(lab.log.join("\n"), PLACE);
  } finally {
    lab.remove();
  }
});

test("the machineries of the page run machines; a broken file is refused with its line", async () => {
  const configure = (name: string, network: number, labels: readonly string[]) =>
    [`[${name}]`, `machines = ${labels.join(", ")}`]
      .concat(
        labels.flatMap((label, index) => [
          ...[`[${label}]`, `label = ${label}`, "platform = linux", `ip = 10.0.${network}.${index + 1}`],
        ]),
      )
      .join("\n");
  const files = {
    "modules/machinery/paper.ts": FILES["modules/machinery/paper.ts"]!,
    "modules/machinery/stone.ts": FILES["modules/machinery/stone.ts"]!,
    "modules/machinery/broken.ts": BROKEN,
    "modules/machinery/_shared.ts": BROKEN,
    "conf/paper.conf": configure("paper", 1, ["sheet"]),
    "conf/stone.conf": configure("stone", 2, ["granite", "broken"]),
  };
  await withFolder(files, async (lab) => {
    const { manager, failures } = await lab.open();
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, PLACE);
    for (const name of ["sheet", "granite"]) {
      assert.equal((await manager.request("restoreStart", name)).state, "running", name);
      assert.equal((await manager.request("stop", name)).state, "poweroff", name);
    }
    assert.equal((await manager.request("restoreStart", "broken")).reason, "it is broken");
  });
});

test("the observing file, the signatures and the script of the page export what they should", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    for (const [name, exported] of [
      ["hello.ts", ["clean", "initialize_callbacks"]],
      ["modules/auxiliary/engine/loads.ts", ["observe"]],
      ["modules/signatures/marks.ts", ["signatures"]],
    ] as const) {
      const file = join(folder, "file.ts");
      writeFileSync(file, FILES[name]!);
      const { exports } = await loadTrustedFile(file, name, doors);
      assert.deepEqual(Object.keys(exports).sort(), exported);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("every code of the page has a row in the list of errors", () => {
  const page = readFileSync(join(PROJECT, "docs/reference/files-you-can-write.md"), "utf8");
  const errors = readFileSync(join(PROJECT, "docs/reference/errors.md"), "utf8");
  const codes = new Set(page.match(/REBOX_[A-Z_]+(?=`)/g));
  assert.equal(codes.size, 4);
  for (const code of codes) assert.ok(errors.includes(`| \`${code}\` |`), code);
});
