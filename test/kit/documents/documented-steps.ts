import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { REBOX } from "../project";

/** A command of a document, and what it prints there. */
interface DocumentedCommand {
  readonly line: string;
  readonly output: string;
}

type Part = { readonly file: string; readonly text: string } | { readonly commands: readonly DocumentedCommand[] };

/** Finds a document's files and commands, in their order. */
function readParts(document: string): Part[] {
  const text = readFileSync(document, "utf8");
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

/**
 * Does what a document says, in a new folder, and compares what its commands print with what it says.
 *
 * @param env variables that the document takes for granted
 * @param machines names of those that are stopped at the end
 * @returns how many commands it has
 */
export function runDocument(
  document: string,
  env: Readonly<Record<string, string>>,
  machines: readonly string[],
): number {
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  const rebox = join(folder, "bin/rebox");
  mkdirSync(dirname(rebox));
  writeFileSync(rebox, `#!/bin/sh\nexec ${process.execPath} ${REBOX} "$@"\n`);
  chmodSync(rebox, 0o755);
  const PATH = `${dirname(rebox)}${delimiter}${process.env.PATH}`;
  let cwd = folder;
  let count = 0;
  const run = (line: string) =>
    spawnSync("sh", ["-c", `${line} 2>&1`], {
      ...{ cwd, env: { ...process.env, PATH, REBOX_LAB: undefined, ...env } },
      ...{ encoding: "utf8", timeout: 120_000 },
    }).stdout;
  try {
    for (const part of readParts(document)) {
      if ("file" in part) {
        mkdirSync(dirname(join(cwd, part.file)), { recursive: true });
        writeFileSync(join(cwd, part.file), part.text);
        continue;
      }
      for (const { line, output } of part.commands) {
        count++;
        if (line.startsWith("cd ")) cwd = join(cwd, line.slice("cd ".length));
        else assert.equal(run(line), output, `$ ${line}`);
      }
    }
    return count;
  } finally {
    for (const name of machines) run(`rebox machine stop ${name}`);
    rmSync(folder, { recursive: true, force: true });
  }
}
