import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The most characters of a program in one line for the guest's shell. */
const LINE = 600;

/** The address of the first instruction. */
export const TEXT = 0x400000;

/**
 * Assembles a program without a library; `_start` is its beginning.
 *
 * @param bits of its instructions
 */
export function assembleProgram(source: string, bits: 32 | 64 = 64): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "rebox-test-"));
  try {
    const [text, object, program] = ["s", "o", "out"].map((end) => join(folder, end)) as [string, string, string];
    writeFileSync(text, `${source}\n`);
    execFileSync("as", [`--${bits}`, "-o", object, text]);
    execFileSync("ld", [
      "-m",
      bits === 64 ? "elf_x86_64" : "elf_i386",
      "-s",
      "-Ttext",
      `0x${TEXT.toString(16)}`,
      "-o",
      program,
      object,
    ]);
    return readFileSync(program);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes a program into a guest. @param execute carries out a line in the guest's shell */
export async function writeProgram(
  execute: (line: string) => Promise<string>,
  path: string,
  program: Buffer,
): Promise<void> {
  const text = program.toString("base64");
  for (let at = 0; at < text.length; at += LINE) await execute(`echo ${text.slice(at, at + LINE)} >> ${path}.base64`);
  await execute(`base64 -d < ${path}.base64 > ${path}; chmod +x ${path}; rm ${path}.base64`);
}
