import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, test } from "node:test";

const REBOX = join(__dirname, "../../src/cli/main.js");
/** More than a pipe holds. */
const LONG = "x".repeat(4 << 20);
let folder: string;
let server: Server;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "rebox-output-"));
  server = createServer((client) => {
    createInterface({ input: client }).on("line", (text) => {
      const { id, line = "" } = JSON.parse(text) as { id: number; line?: string };
      const isf = /^isf (.*)$/.exec(line)?.[1];
      if (isf !== undefined) writeFileSync(JSON.parse(isf) as string, LONG);
      client.write(`${JSON.stringify({ id, text: LONG, data: LONG, prompt: "> ", isOver: false })}\n`);
    });
    client.on("error", () => client.destroy());
  }).listen(join(folder, "control"));
  await once(server, "listening");
});

afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** Runs rebox with a reader of its output that goes away after the first bytes, or at once. */
async function runShortly(args: readonly string[], waits: boolean): Promise<{ status: number | null; stderr: string }> {
  const child = spawn(process.execPath, [REBOX, ...args], { env: { ...process.env, TMPDIR: folder } });
  let stderr = "";
  child.stderr.on("data", (text) => (stderr += String(text)));
  const closed = once(child, "close");
  if (waits) await once(child.stdout, "data");
  child.stdout.destroy();
  const [status] = (await closed) as [number | null];
  return { status, stderr };
}

describe("the reader of the output goes away", { timeout: 120_000 }, () => {
  for (const [args, waits] of [
    [["isf", "SOCKET"], true],
    [["attach", "SOCKET", "ps"], true],
    [["attach", "SOCKET", "--json", "ps"], true],
    [["--help"], false],
    [["lab", "--help"], false],
    [["types", "--help"], false],
  ] as const) {
    test(`rebox ${args.join(" ")} ends quietly, as a program that SIGPIPE has ended, and leaves nothing behind`, async () => {
      const words = args.map((word) => (word === "SOCKET" ? join(folder, "control") : word));
      const { status, stderr } = await runShortly(words, waits);
      assert.equal(stderr, "");
      assert.equal(status, 141);
      assert.deepEqual(readdirSync(folder), ["control"]);
    });
  }

  test("an output that is full is named, without a stack", async () => {
    const full = openSync("/dev/full", "w");
    const child = spawn(process.execPath, [REBOX, "--help"], { stdio: ["ignore", full, "pipe"] });
    let stderr = "";
    child.stderr?.on("data", (text) => (stderr += String(text)));
    const [status] = (await once(child, "close")) as [number];
    assert.match(stderr, /^rebox: the output cannot be written: ENOSPC[^\n]*\n$/);
    assert.equal(status, 1);
  });
});
