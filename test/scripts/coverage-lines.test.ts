import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readLineRows } from "../../scripts/_dwarf_lines";
import { inFolder } from "../kit/in-folder";
import { LINES_PROGRAM } from "../kit/scripts/lines-program";

const run = (cwd: string, ...words: readonly [string, ...string[]]) =>
  execFileSync(words[0], words.slice(1), { cwd, encoding: "utf8" });

/** Compiles the program in a folder. */
function compile(folder: string, ...options: readonly string[]): string {
  writeFileSync(join(folder, "prog.c"), LINES_PROGRAM);
  run(folder, "gcc", "-O0", ...options, "-o", "prog", "prog.c");
  return join(folder, "prog");
}

for (const version of [3, 4, 5]) {
  test(`the line of each address is the one that addr2line names, in DWARF ${version}`, () =>
    inFolder(async (folder) => {
      const rows = readLineRows(readFileSync(compile(folder, "-g", `-gdwarf-${version}`)));
      assert.ok(rows.length > 10);
      const addresses = rows.map(({ address }) => `0x${address.toString(16)}`);
      const said = run(folder, "addr2line", "-e", "prog", ...addresses).trim().split("\n"); // prettier-ignore
      assert.deepEqual(
        rows.map(({ file, line }) => `${file.replace(/.*\//, "")}:${line}`),
        said.map((text) => text.replace(/.*\//, "").replace(/ \(discriminator \d+\)$/, "")),
      );
    }));
}

test("a program without lines, and a file that is no program, are refused with the reason", () =>
  inFolder(async (folder) => {
    const plain = readFileSync(compile(folder));
    assert.throws(() => readLineRows(plain), /has no lines: compile it with -g/);
    assert.throws(() => readLineRows(Buffer.from("text")), /no ELF file of 64 bits/);
  }));
