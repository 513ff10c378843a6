import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { checkTypes, findTypeScript } from "../../src/cli/check/type-check";
import { NEEDS_QEMU } from "./lab-run";

const PROJECT = resolve(__dirname, "../../../..");
const DOCUMENT = join(PROJECT, "docs/machinery.md");

/** A command of the document, and what it prints there. */
interface DocumentedCommand {
  readonly line: string;
  readonly output: string;
}

type Part = { readonly file: string; readonly text: string } | { readonly commands: readonly DocumentedCommand[] };

/** Finds the document's files and commands, in their order. */
function readParts(): Part[] {
  const text = readFileSync(DOCUMENT, "utf8");
  return [...text.matchAll(/^<!-- (?:file: (\S+)|run) -->\n```\w+\n([^]*?)^```$/gm)].map(([, file, block]): Part => {
    if (file !== undefined) return { file, text: block! };
    return {
      commands: block!
        .split(/^\$ /m)
        .filter((each) => each !== "")
        .map((each) => ({ line: each.slice(0, each.indexOf("\n")), output: each.slice(each.indexOf("\n") + 1) })),
    };
  });
}

test(
  "every command of docs/machinery.md prints what the document says, with the module that it builds",
  { skip: NEEDS_QEMU },
  () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
    const rebox = join(folder, "bin/rebox");
    mkdirSync(dirname(rebox));
    writeFileSync(rebox, `#!/bin/sh\nexec ${process.execPath} ${join(PROJECT, "build/js/src/cli/main.js")} "$@"\n`);
    chmodSync(rebox, 0o755);
    const env = { ...process.env, PATH: `${dirname(rebox)}${delimiter}${process.env.PATH}`, REBOX_LAB: undefined };
    let cwd = folder;
    let count = 0;
    const run = (line: string) =>
      spawnSync("sh", ["-c", `${line} 2>&1`], { cwd, env, encoding: "utf8", timeout: 120_000 }).stdout;
    try {
      for (const part of readParts()) {
        if ("file" in part) {
          writeFileSync(join(cwd, part.file), part.text);
          continue;
        }
        for (const { line, output } of part.commands) {
          count++;
          if (line.startsWith("cd ")) cwd = join(cwd, line.slice("cd ".length));
          else assert.equal(run(line), output, `$ ${line}`);
        }
      }
      assert.ok(count > 20, "the document has commands");
    } finally {
      for (const name of ["office", "nap"]) run(`rebox machine stop ${name}`);
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test("every TypeScript example of docs/machinery.md has the right types", () => {
  const text = readFileSync(DOCUMENT, "utf8");
  const examples = [...text.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code!);
  assert.equal(examples.length, 3);
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    for (const [index, code] of examples.entries()) {
      const file = join(folder, `example${index}.ts`);
      writeFileSync(file, code);
      assert.deepEqual(checkTypes(findTypeScript(file, PROJECT)!, file, PROJECT), []);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
