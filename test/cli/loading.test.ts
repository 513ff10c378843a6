import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";
import { REBOX } from "../kit/project";

/** Out of the compiled files: a command's own, with commander; all of rebox is more than 700. */
const MOST_MODULES = { version: 24, attach: 34 };

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-loading-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Runs rebox, and lists the files of modules that it has loaded at its end. */
async function listLoaded(
  bundle: "yes" | "no",
  ...args: readonly string[]
): Promise<{ stdout: string; loaded: string[]; ofNode: string[] }> {
  const [counter, list] = [join(folder, "counter.cjs"), join(folder, "loaded")];
  const lists = "JSON.stringify([Object.keys(require.cache), process.moduleLoadList])";
  const write = `require("node:fs").writeFileSync(${JSON.stringify(list)}, ${lists})`;
  writeFileSync(counter, `process.on("exit", () => ${write});`);
  const { stdout } = await promisify(execFile)(process.execPath, ["--require", counter, REBOX, ...args], {
    env: { ...process.env, REBOX_BUNDLE: bundle },
  });
  const [loaded, ofNode] = JSON.parse(readFileSync(list, "utf8")) as [string[], string[]];
  return { stdout, loaded, ofNode: ofNode.map((name) => name.replace(/^NativeModule /, "")) };
}

describe("a command loads only the modules that it needs", () => {
  test("rebox --version", async () => {
    const { stdout, loaded } = await listLoaded("no", "--version");
    assert.match(stdout, /^rebox \d/);
    assert.ok(loaded.length <= MOST_MODULES.version, `${loaded.length} modules:\n${loaded.join("\n")}`);
  });

  test("out of the bundle, two files and the bundle", async () => {
    const { loaded } = await listLoaded("yes", "--help");
    assert.deepEqual(
      loaded.filter((file) => !file.startsWith(folder)).map((file) => basename(file)),
      ["main.js", "load-bundle.js"],
    );
  });

  test("rebox attach", async () => {
    const { stdout, loaded } = await attach("no");
    assert.equal(stdout, "answered\n");
    assert.ok(loaded.length <= MOST_MODULES.attach, `${loaded.length} modules:\n${loaded.join("\n")}`);
  });

  test("and out of the bundle only modules of Node's own that it uses", async () => {
    const others = ["child_process", "module", "readline", "fs/promises", "tty"];
    for (const { stdout, ofNode } of [await listLoaded("yes", "--version"), await attach("yes")]) {
      assert.match(stdout, /^(rebox \d|answered)/);
      assert.deepEqual(others.filter((name) => ofNode.includes(name)), []); // prettier-ignore
    }
  });
});

/** Runs rebox attach on a socket that answers at once. */
async function attach(bundle: "yes" | "no"): ReturnType<typeof listLoaded> {
  const socket = join(folder, "control");
  const server = createServer((client) => {
    createInterface({ input: client }).on("line", (text) => {
      const { id } = JSON.parse(text) as { id: number };
      client.write(`${JSON.stringify({ id, text: "answered", data: null, prompt: "> ", isOver: false })}\n`);
    });
  }).listen(socket);
  try {
    return await listLoaded(bundle, "attach", socket, "ps");
  } finally {
    server.close();
  }
}
