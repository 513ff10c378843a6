import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";

const REBOX = join(__dirname, "../../src/cli/main.js");

/** Of a guest's: Node's own lines would end in it. */
const NAME = "one\u2028two";

/** Attaches to a shell that holds one thing more after each line that begins with "bp", and runs lines there. */
async function attach(...lines: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-attach-"));
  const server = createServer((client) => {
    let holds = 0;
    createInterface({ input: client }).on("line", (text) => {
      const { id, line = "" } = JSON.parse(text) as { id: number; line?: string };
      if (line.startsWith("bp")) holds++;
      client.write(`${JSON.stringify({ id, text: NAME, data: null, prompt: "> ", isOver: false, holds })}\n`);
    });
  }).listen(join(folder, "g.sock"));
  try {
    return await promisify(execFile)(process.execPath, [REBOX, "attach", "g.sock", ...lines], { cwd: folder });
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
}

test("a breakpoint that ends with the command that sets it is said to", async () => {
  const note =
    'rebox: what "bp kernel!do_exit" has set in the guest ends now, with this command; to keep it, give the line in a shell: rebox attach g.sock\n';
  assert.equal((await attach("ps", "bp kernel!do_exit")).stderr, note);
});

test("a breakpoint that later lines have used needs no word", async () => {
  assert.equal((await attach("bp kernel!do_exit", "cont")).stderr, "");
  assert.equal((await attach("ps")).stderr, "");
});

test("an answer with characters that end lines for people, and not in JSON, comes whole", async () => {
  assert.equal((await attach("ps")).stdout, `${NAME}\n`);
});
