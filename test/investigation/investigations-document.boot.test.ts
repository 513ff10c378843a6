import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { checkTypes, findTypeScript } from "../../src/cli/check/type-check";
import { withShell } from "../kit/terminal/shell-run";
import { PROJECT, REBOX } from "../kit/project";

const DOCUMENT = readFileSync(join(PROJECT, "docs/guides/investigations.md"), "utf8");

/** The commands of the document that are run, each with what it prints there. */
function readCommands(): { line: string; output: string }[] {
  return [...DOCUMENT.matchAll(/^<!-- run -->\n```\n([^]*?)^```$/gm)]
    .flatMap(([, block]) => block!.split(/^\$ /m).filter((each) => each !== ""))
    .map((each) => ({ line: each.slice(0, each.indexOf("\n")), output: each.slice(each.indexOf("\n") + 1) }));
}

function runLine(line: string, cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn("bash", ["-c", `${line} 2>&1`], { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("error", fail);
    child.on("close", () => done(output));
  });
}

test("every command of docs/guides/investigations.md prints what the document says, with the modules that it builds", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    const rebox = join(folder, "bin/rebox");
    const files = [...DOCUMENT.matchAll(/^<!-- file: (\S+) -->\n```ts\n([^]*?)^```$/gm)];
    assert.equal(files.length, 2);
    for (const [, path, text] of files) {
      mkdirSync(join(folder, dirname(path!)), { recursive: true });
      writeFileSync(join(folder, path!), text!);
      const file = join(folder, path!);
      assert.deepEqual(checkTypes(findTypeScript(file, PROJECT)!, file, PROJECT), []);
    }
    for (const name of ["bin", "run"]) mkdirSync(join(folder, name));
    writeFileSync(rebox, `#!/bin/sh\nexec ${process.execPath} ${REBOX} "$@"\n`);
    chmodSync(rebox, 0o755);
    // The engine finds the modules beside its configuration.
    writeFileSync(join(folder, "rebox.conf"), "[MODULES]\n");
    const env = { ...process.env, PATH: `${dirname(rebox)}${delimiter}${process.env.PATH}` };
    await withShell({ task: "idle", reboxArgs: ["-c", join(folder, "rebox.conf")] }, async ({ socket, truth }) => {
      symlinkSync(socket, join(folder, "run/control"));
      await truth("idle");
      const commands = readCommands();
      assert.ok(commands.length >= 4);
      for (const { line, output } of commands) assert.equal(await runLine(line, folder, env), output, line);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
