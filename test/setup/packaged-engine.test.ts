import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { PROJECT } from "../kit/project";

const MODULE = pathToFileURL(join(PROJECT, "native/setup/packaged-engine.mjs")).href;
/** Of a tarball of QEMU. */
const SOURCE = "5a".repeat(32);

interface Engine {
  isUsed(sourceHash?: string): boolean;
  take(task: { say(text: string): void }, sourceHash?: string, setting?: string): string | undefined;
  leave(): void;
}

let folder: string;
let build: string;
let engine: Engine;
let content: string;
let said: string[];

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "rebox-engine-")));
  build = join(folder, "checkout/build");
  said = [];
  const { PackagedEngine, engineContent } = (await import(MODULE)) as {
    PackagedEngine: new (folders: object) => Engine;
    engineContent(source: string): string;
  };
  engine = new PackagedEngine({ build, cache: join(folder, "cache") });
  content = engineContent(SOURCE);
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Makes a package whose files say which one they are of. */
function makePackage(place: string, info: object): string {
  const own = join(folder, place, "rebox-engine-linux-x64");
  const files = {
    "package.json": JSON.stringify({ name: "rebox-engine-linux-x64", version: "0.1.0" }),
    "qemu/info.json": JSON.stringify({ version: "10.0.99", patches: [], sourceHash: SOURCE, content, ...info }),
    "qemu/libqemu-system-x86_64.so": `library of ${place}`,
    "lib/libone.so": `another library of ${place}`,
    "firmware/bios-256k.bin": `firmware of ${place}`,
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(own, name)), { recursive: true });
    writeFileSync(join(own, name), text);
  }
  return own;
}

const take = (setting: string, sourceHash?: string) =>
  engine.take({ say: (text) => said.push(text) }, sourceHash, setting);
const read = (path: string) => readFileSync(join(build, path), "utf8");

describe("a checkout takes a packaged engine", () => {
  test("of its own content, whole and for itself: the package may go", () => {
    const own = makePackage("global", {});
    assert.equal(engine.isUsed(), false);
    assert.equal(take(own), `rebox-engine-linux-x64 0.1.0 in ${own}`);
    rmSync(own, { recursive: true });
    assert.equal(read("qemu/libqemu-system-x86_64.so"), "library of global");
    // Where the library looks for others: beside its own folder.
    assert.equal(
      readFileSync(join(realpathSync(join(build, "qemu")), "../lib/libone.so"), "utf8"),
      "another library of global",
    );
    assert.equal(read("firmware/bios-256k.bin"), "firmware of global");
    assert.ok(engine.isUsed() && engine.isUsed(SOURCE));
    assert.deepEqual(said, []);
  });

  test("that lies in the folder which is named, or in its node_modules", () => {
    makePackage("project/node_modules", {});
    assert.match(take(join(folder, "project"))!, /project\/node_modules\/rebox-engine-linux-x64$/);
    rmSync(build, { recursive: true });
    assert.match(take(join(folder, "project/node_modules"))!, /project\/node_modules\/rebox-engine-linux-x64$/);
  });

  test("no longer once its source, or its own files, are others", () => {
    take(makePackage("global", {}));
    assert.equal(engine.isUsed("other source"), false);
    engine.leave();
    assert.equal(engine.isUsed(), false);
    assert.ok(!existsSync(join(build, "firmware")));
  });

  test("not of another content, which is named", () => {
    const own = makePackage("global", { content: "0123456789abcdef" });
    const problem = `its content is 0123456789abcdef, and that of this checkout is ${content}`;
    const message = `rebox-engine-linux-x64 0.1.0 in ${own} cannot be taken: ${problem}; without REBOX_ENGINE, QEMU is built`;
    assert.throws(() => take(own), { message });
    assert.throws(
      () => take(makePackage("other", {}), "another source"),
      /cannot be taken: its content is [0-9a-f]{16}, and /,
    );
    assert.throws(() => take(makePackage("older", { content: undefined })), /its content is not known, and /);
    assert.throws(
      () => take(makePackage("series", { version: "9.2.1" })),
      /it is QEMU 9\.2\.1, and this checkout has patches for 10\.0/,
    );
    assert.ok(!existsSync(build));
  });

  test("not where the setting says no, or names a folder without it", () => {
    assert.equal(take("no"), undefined);
    assert.throws(() => take(folder), /REBOX_ENGINE: there is no package rebox-engine-linux-x64 in /);
  });

  test("that npm has installed for all projects; one of another content is left, and QEMU is built", () => {
    const npm = join(folder, "bin/npm");
    const own = makePackage("lib/node_modules", {});
    mkdirSync(dirname(npm));
    writeFileSync(npm, `#!/bin/sh\necho ${dirname(own)}\n`, { mode: 0o755 });
    const path = process.env.PATH;
    process.env.PATH = `${dirname(npm)}:${path}`;
    try {
      assert.match(take("")!, /lib\/node_modules\/rebox-engine-linux-x64$/);
      assert.equal(take("", "another source"), undefined);
      assert.equal(said.length, 1);
      assert.match(said[0]!, /^rebox-engine-linux-x64 0\.1\.0 in .* is not taken: its content is /);
    } finally {
      process.env.PATH = path;
    }
  });
});
