import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";

const REBOX = join(__dirname, "../../src/cli/main.js");
/** The declarations of all commands with commander are some fifty modules, and each command may load some more; all of rebox is more than 700. */
const MOST_MODULES = { version: 65, attach: 70 };

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-loading-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Runs rebox, and lists the modules that it has loaded at its end. */
async function listLoaded(...args: readonly string[]): Promise<{ stdout: string; loaded: string[] }> {
  const [counter, list] = [join(folder, "counter.cjs"), join(folder, "loaded")];
  const write = `require("node:fs").writeFileSync(${JSON.stringify(list)}, Object.keys(require.cache).join("\\n"))`;
  writeFileSync(counter, `process.on("exit", () => ${write});`);
  const { stdout } = await promisify(execFile)(process.execPath, ["--require", counter, REBOX, ...args]);
  return { stdout, loaded: readFileSync(list, "utf8").split("\n") };
}

describe("a command loads only the modules that it needs", () => {
  test("rebox --version", async () => {
    const { stdout, loaded } = await listLoaded("--version");
    assert.match(stdout, /^rebox \d/);
    assert.ok(loaded.length <= MOST_MODULES.version, `${loaded.length} modules:\n${loaded.join("\n")}`);
  });

  test("rebox attach", async () => {
    const socket = join(folder, "control");
    const server = createServer((client) => {
      createInterface({ input: client }).on("line", (text) => {
        const { id } = JSON.parse(text) as { id: number };
        client.write(`${JSON.stringify({ id, text: "answered", data: null, prompt: "> ", isOver: false })}\n`);
      });
    }).listen(socket);
    try {
      const { stdout, loaded } = await listLoaded("attach", socket, "ps");
      assert.equal(stdout, "answered\n");
      assert.ok(loaded.length <= MOST_MODULES.attach, `${loaded.length} modules:\n${loaded.join("\n")}`);
    } finally {
      server.close();
    }
  });
});
