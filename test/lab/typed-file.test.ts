import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeGuestDisc } from "../../src/lab/ways/guest-disc";
import { makeMarks, typeScript } from "../../src/lab/ways/guest-shell";
import { writeTypedFile } from "../../src/lab/ways/typed-file";

const SHELLS = ["dash", "bash", "busybox sh"].filter((each) => existsSync(`/bin/${each.split(" ")[0]!}`));

/** What shells, quoting and printf take for something else. */
const TEXTS = [
  "#!/bin/sh\necho hello\n",
  "echo 'single' \"double\" `date` $HOME $(id) %s %d \\n \\0101 \\c !! # ~ & | < > ;\n\n\n",
  "no line's end",
  "",
  "\t- a first dash\n'\n''\n",
  "-n",
  `#!/bin/sh\n${"# a comment of some length, which takes more than one line to type\n".repeat(28)}`,
];

async function withFolder(act: (folder: string, signal: AbortSignal) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-typed-"));
  try {
    await act(folder, new AbortController().signal);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

void test("a small text is made in the guest by what is typed, whatever is in it, by each shell", () =>
  withFolder(async (folder, signal) => {
    assert.ok(SHELLS.length >= 2);
    for (const [index, text] of TEXTS.entries()) {
      const source = join(folder, `target ${index}.sh`);
      writeFileSync(source, text);
      const disc = await makeGuestDisc(source, folder, signal);
      const { lines, run } = typeScript(writeTypedFile(disc)!, makeMarks());
      const typed = [...lines.map((each) => each.line), run].join("\n");
      for (const shell of SHELLS) {
        const there = join("/tmp", disc.folder);
        try {
          const [program, ...args] = shell.split(" ");
          execFileSync(program!, args, { input: typed });
          assert.equal(readFileSync(join(there, disc.name), "latin1"), text, `${shell}: ${JSON.stringify(text)}`);
          assert.equal(statSync(join(there, disc.name)).mode & 0o777, 0o755);
          assert.equal(statSync(there).mode & 0o777, 0o755);
        } finally {
          rmSync(there, { recursive: true, force: true });
        }
      }
    }
  }));

void test("what is large, no text, or a folder comes on its disc", () =>
  withFolder(async (folder, signal) => {
    const files = { large: "x".repeat(2_049), binary: "\x7fELF\0", foreign: "\xc3\xa4", ended: "a\r\n" };
    for (const [name, text] of Object.entries(files)) {
      const source = join(folder, name);
      writeFileSync(source, text, "latin1");
      assert.equal(writeTypedFile(await makeGuestDisc(source, folder, signal)), undefined, name);
    }
    const source = join(folder, "a-folder");
    mkdirSync(source);
    assert.equal(writeTypedFile(await makeGuestDisc(source, folder, signal)), undefined);
  }));
