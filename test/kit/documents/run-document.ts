import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { PROJECT, REBOX } from "../project";
import { SANITIZER_REMARKS } from "../guests/guest-run";

/** How a document with commands is run. */
export interface DocumentRun {
  /** Variables of its commands. */
  readonly env: Readonly<Record<string, string>>;
  /** Takes out of an output what is different each time. */
  normalize(text: string): string;
  /** Commands that end what the document leaves running. */
  readonly cleanUp?: readonly (readonly string[])[];
  readonly limitMs?: number;
}

const LIMIT_MS = 120_000;

/**
 * Runs the commands of a document in a folder of their own, and compares what they print with what it says. Files of the document
 * are written where its commands have gone by then.
 *
 * @param path below the project
 * @returns how many commands were run
 */
export function runDocument(path: string, run: DocumentRun): number {
  const text = readFileSync(join(PROJECT, path), "utf8");
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  const rebox = join(folder, "bin/rebox");
  mkdirSync(dirname(rebox));
  writeFileSync(rebox, `#!/bin/sh\nexec ${process.execPath} ${REBOX} "$@"\n`);
  chmodSync(rebox, 0o755);
  const programs = `${dirname(rebox)}${delimiter}${process.env.PATH}`;
  const env = { ...process.env, PATH: programs, REBOX_LAB: undefined, ...run.env };
  let cwd = folder;
  let count = 0;
  try {
    for (const [, file, block] of text.matchAll(/^<!-- (?:file: (\S+)|run) -->\n```\w+\n([^]*?)^```$/gm)) {
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
        const timeout = run.limitMs ?? LIMIT_MS;
        const { stdout } = spawnSync("sh", ["-c", `{ ${line}\n} 2>&1`], { cwd, env, encoding: "utf8", timeout });
        assert.equal(run.normalize(stdout.replace(SANITIZER_REMARKS, "")), run.normalize(output), `$ ${line}`);
      }
    }
    return count;
  } finally {
    for (const args of run.cleanUp ?? []) spawnSync(rebox, args, { cwd, env });
    endBackground(cwd);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ends what the document has in the background, whose ids are in files NAME.pid. */
function endBackground(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => each.endsWith(".pid")))
    try {
      process.kill(Number(readFileSync(join(folder, name), "utf8")), "SIGKILL");
    } catch {
      // It has ended.
    }
}
