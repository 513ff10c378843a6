import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { completeWords } from "../../src/cli/completion/complete-words";
import { SHELL_SCRIPTS, SHELLS } from "../../src/cli/completion/shell-scripts";
import { createProgram } from "../../src/cli/program";
import type { RunEnvironment } from "../../src/cli/run/run-environment";
import { PROJECT, REBOX } from "../kit/project";
import { TmuxTerminal } from "../kit/terminal/tmux-terminal";

const program = createProgram({ projectFolder: PROJECT } as RunEnvironment, undefined, () => undefined);

function complete(...words: readonly string[]) {
  const { candidates, files } = completeWords(program, words);
  return { words: candidates.map(({ value }) => value), files };
}

describe("the words that may stand at the cursor", () => {
  test("the commands of the help, with their summaries", () => {
    const { candidates, files } = completeWords(program, [""]);
    const names = program.createHelp().visibleCommands(program).map((command) => command.name()); // prettier-ignore
    assert.deepEqual(candidates.map(({ value }) => value), names); // prettier-ignore
    assert.ok(names.includes("run") && !names.includes("complete"));
    assert.equal(candidates.find(({ value }) => value === "run")?.description, "boot a guest and run scripts in it");
    assert.equal(files, false);
  });

  test("the commands of a command, and behind help", () => {
    assert.deepEqual(complete("machine", "st").words, ["start", "stop", "state"]);
    assert.deepEqual(complete("help", "mach").words, ["machine"]);
    assert.deepEqual(complete("help", "machine", "gold").words, ["golden"]);
  });

  test("the options of a command, without hidden ones", () => {
    assert.deepEqual(complete("run", "--cont").words, ["--control"]);
    assert.deepEqual(complete("run", "--behind").words, []);
    assert.ok(complete("run", "-").words.includes("-c"));
  });

  test("the values that an option or an argument can have", () => {
    assert.deepEqual(complete("lab", "init", "--format", ""), { words: ["yaml", "conf"], files: false });
    assert.deepEqual(complete("lab", "init", "--format=y"), { words: ["--format=yaml"], files: false });
    assert.deepEqual(complete("completion", ""), { words: ["bash", "zsh", "fish"], files: false });
  });

  test("files where a file may stand, and nowhere else", () => {
    assert.ok(complete("run", "--script", "").files);
    assert.ok(complete("run", "--script=").files);
    assert.ok(complete("check", "one.ts", "").files);
    assert.ok(complete("run", "--", "-kernel", "").files);
    assert.ok(!complete("run", "--timeout", "").files);
    assert.ok(!complete("machine", "start", "").files);
    assert.deepEqual(complete("nonsense", "--option="), { words: [], files: false });
  });
});

describe("a shell completes", () => {
  let folder: string;
  const setUp = {
    bash: (script: string) => ["bash --norc --noprofile", `source ${script}`],
    zsh: (script: string) => ["zsh -f", `autoload -Uz compinit && compinit -u -d ${folder}/dump`, `source ${script}`],
    fish: (script: string) => ["fish --no-config", `source ${script}`],
  };

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "rebox-completion-"));
    writeFileSync(join(folder, "sample.ts"), "");
    const show = `printf 'ran:'; printf ' <%s>' "$@"; echo`;
    const start = `exec ${process.execPath} ${REBOX} "$@"`;
    writeFileSync(join(folder, "rebox"), `#!/bin/sh\nif [ "$1" = complete ]; then ${start}; fi\n${show}\n`, {
      mode: 0o755,
    });
  });

  after(() => rmSync(folder, { recursive: true }));

  for (const shell of SHELLS) {
    const without = spawnSync(shell, ["--version"]).error ? `there is no ${shell}` : false;
    test(`${shell}: commands, options, values and files`, { skip: without }, async () => {
      const terminal = await TmuxTerminal.open(100, 30);
      try {
        const script = join(folder, `script.${shell}`);
        writeFileSync(script, SHELL_SCRIPTS[shell]);
        await terminal.enter(`cd ${folder}; export PATH=${folder}:$PATH HOME=${folder}`);
        for (const line of setUp[shell](script)) await terminal.enter(line);
        await terminal.enter("echo is''ready");
        await terminal.until("the shell", (screen) => screen.includes("isready"));
        for (const [typed, meant] of [
          ["rebox completio\tfi\t", "<completion> <fish>"],
          ["rebox run --scri\tsam\t--tru\t", "<run> <--script> <sample.ts> <--trust>"],
          ["rebox lab init --format=ya\t", "<lab> <init> <--format=yaml>"],
          ["rebox run --script=sam\t", "<run> <--script=sample.ts>"],
        ] as const) {
          await terminal.type(typed);
          await terminal.press("Enter");
          await terminal.until(meant, (screen) => screen.replace(/\n/g, "").includes(`ran: ${meant}`));
        }
      } finally {
        await terminal.close();
      }
    });
  }
});

describe("the manual page", () => {
  const page = execFileSync(process.execPath, [REBOX, "manual"], { encoding: "utf8" });
  const groff = (...args: readonly string[]) =>
    spawnSync("groff", ["-man", ...args], { input: page, encoding: "utf8" });
  const without = groff("-Tutf8").error ? "there is no groff" : false;

  test("is without a fault", { skip: without }, () => assert.equal(groff("-Tutf8", "-ww").stderr, ""));

  test("has every command, and every option, of the help", { skip: without }, () => {
    const text = groff("-Tascii", "-P-c", "-P-b", "-P-u", "-rLL=300n").stdout.replace(/\s+/g, " ");
    const visit = (command: typeof program, name: string): void => {
      const help = command.createHelp();
      for (const option of help.visibleOptions(command))
        assert.ok(text.includes(help.optionTerm(option)), option.flags);
      for (const below of help.visibleCommands(command).filter((one) => one.name() !== "help")) {
        assert.ok(text.includes(`${name} ${below.name()}`), `${name} ${below.name()}`);
        visit(below, `${name} ${below.name()}`);
      }
    };
    visit(program, "rebox");
    assert.ok(text.includes("Example: rebox run --script scripts/my_script.ts"));
  });
});
