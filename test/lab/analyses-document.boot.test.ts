import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { checkTypes, findTypeScript } from "../../src/cli/check/type-check";
import { defaultKit } from "../kit/guests/guest-kits";
import { PROJECT, REBOX } from "../kit/project";

const DOCUMENT = readFileSync(join(PROJECT, "docs/guides/analyses.md"), "utf8");

/** Takes out what is different each time: seconds, numbers of events, dates. */
function normalize(text: string): string {
  return text.replace(/\d+\.\d s, \d+ events/g, "TIME").replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "DATE");
}

test("every command of docs/guides/analyses.md prints what the document says", () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  const rebox = join(folder, "bin/rebox");
  mkdirSync(dirname(rebox));
  writeFileSync(rebox, `#!/bin/sh\nexec ${process.execPath} ${REBOX} "$@"\n`);
  chmodSync(rebox, 0o755);
  const path = `${dirname(rebox)}${delimiter}${process.env.PATH}`;
  const env = { ...process.env, PATH: path, REBOX_LAB: undefined, KIT: dirname(defaultKit().kernel) };
  let cwd = folder;
  let count = 0;
  try {
    for (const [, file, block] of DOCUMENT.matchAll(/^<!-- (?:file: (\S+)|run) -->\n```\w+\n([^]*?)^```$/gm)) {
      if (file !== undefined) {
        writeFileSync(join(cwd, file), block!);
        continue;
      }
      for (const each of block!.split(/^\$ /m).filter((part) => part !== "")) {
        const line = each.slice(0, each.indexOf("\n"));
        const output = each.slice(line.length + 1);
        count++;
        if (line.startsWith("cd ")) {
          cwd = join(cwd, line.slice("cd ".length));
          continue;
        }
        const { stdout } = spawnSync("sh", ["-c", `{ ${line}\n} 2>&1`], {
          cwd,
          env,
          encoding: "utf8",
          timeout: 120_000,
        });
        assert.equal(normalize(stdout), normalize(output), `$ ${line}`);
      }
    }
    assert.ok(count > 10, "the document has commands");
  } finally {
    spawnSync(rebox, ["machine", "stop", "office"], { cwd, env });
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the script of docs/guides/analyses.md has the right types", () => {
  const [, code] = /^```ts\n([^]*?)^```$/m.exec(DOCUMENT)!;
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    const file = join(folder, "begins.ts");
    writeFileSync(file, code!);
    assert.deepEqual(checkTypes(findTypeScript(file, PROJECT)!, file, PROJECT), []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
