import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { applyChange, type GuideStep, isShown, type Output, readGuide } from "../kit/documents/guide-steps";
import { GuideTerminal } from "../kit/documents/guide-terminal";
import { PROJECT, REBOX } from "../kit/project";

const STEPS = readGuide(readFileSync(join(PROJECT, "docs/guides/first-hour.md"), "utf8"));

/** Lines that change nothing: a reader who is too fast gives them again. */
const ONLY_SHOWS = /^(custom|ps|ln|status|list_modules|bt|dt)\b/;

const PATIENCE_MS = 90_000;

/** Somebody who follows the guide, in a folder with the set-up's results. */
class Reader {
  readonly folder = mkdtempSync(join(tmpdir(), "rebox-guide-"));
  guest: GuideTerminal | undefined;
  #shell: GuideTerminal | undefined;
  #questions = 0;

  constructor() {
    symlinkSync(join(PROJECT, "build"), join(this.folder, "build"));
  }

  async follow(step: GuideStep): Promise<void> {
    switch (step.kind) {
      case "write":
        return writeFileSync(join(this.folder, step.file), step.text);
      case "change": {
        const file = join(this.folder, step.file);
        return writeFileSync(file, applyChange(readFileSync(file, "utf8"), step.lines));
      }
      case "run":
        return await this.#run(step.command, step.output);
      case "seen":
        return await this.guest!.see(step.output);
      case "shell":
        return await this.#ask(step.line, step.output);
    }
  }

  async #run(command: string, output: Output): Promise<void> {
    const words = command.split(" ");
    assert.equal(words.slice(0, 2).join(" "), "npx rebox", command);
    const terminal = new GuideTerminal(process.execPath, [rebox(), ...words.slice(2)], this.folder);
    if (words[2] === "attach") this.#shell = terminal;
    else {
      this.guest = terminal;
      await terminal.see(output);
    }
  }

  /** Types a line and compares what is printed until the guide's lines are all there. */
  async #ask(line: string, output: Output): Promise<void> {
    const shell = this.#shell!;
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const from = shell.printed.length;
      // Its answer says that the line before it has been answered.
      const mark = `answered-${++this.#questions}`;
      shell.type(line);
      if (line.startsWith("quit")) return await shell.until(() => isShown(shell.printed.slice(from), output), line);
      shell.type(`!"${mark}"`);
      const answer = () => shell.printed.slice(from).replace(`'${mark}'\n`, "");
      await shell.until(() => shell.printed.includes(`'${mark}'`), `an answer to ${line}`);
      if (isShown(answer(), output)) return;
      if (!ONLY_SHOWS.test(line)) {
        return await shell.until(() => isShown(answer(), output), `\n${output.lines.join("\n")}\nas answer to ${line}`);
      }
      if (performance.now() > end) assert.equal(answer(), output.lines.join("\n"), line);
      await sleep(200);
    }
  }

  async leave(): Promise<void> {
    await this.#shell?.end();
    await this.guest?.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function rebox(): string {
  const main = REBOX;
  assert.ok(existsSync(main));
  return main;
}

test("the guide's commands, followed from its second step to its end, print what the guide says", async () => {
  const reader = new Reader();
  try {
    for (const step of STEPS.filter((step) => step.kind !== "run" || step.command !== "npm run demo")) {
      await reader.follow(step);
    }
    // The guide ends the machine.
    assert.equal(await reader.guest!.leave(), 0, reader.guest!.printed);
  } finally {
    await reader.leave();
  }
  const kinds = new Set(STEPS.map(({ kind }) => kind));
  assert.deepEqual([...kinds].sort(), ["change", "run", "seen", "shell", "write"]);
});

test("the demo prints what the guide says", async () => {
  const demo = STEPS.find((step) => step.kind === "run" && step.command === "npm run demo");
  assert.ok(demo?.kind === "run");
  const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  // What is in front of it is set-up.
  const [program, ...args] = scripts["demo"]!.split(" && ").at(-1)!.split(" ");
  assert.equal(program, "node");
  const lines = demo.output.lines.map((line) => line.replace("/home/me/rebox", PROJECT));
  const terminal = new GuideTerminal(process.execPath, args, PROJECT);
  try {
    await terminal.see({ ...demo.output, lines });
  } finally {
    await terminal.end();
  }
});

test("a line that the guide does not show is noticed", () => {
  const output = { lines: ["a 0x12", "...", "c  7"], mayDiffer: /\d+$/g };
  assert.equal(isShown("a 0xff\nb\nc 8\n", output), true);
  assert.equal(isShown("x\na 0xff\nb\nc 8\n", output), false);
  assert.equal(isShown("a 0xff\nb\nc 8\nd\n", output), false);
  assert.equal(isShown("a 0xff\nb\nc x\n", output), false);
  assert.equal(isShown("x\na 0xff\nb\nc 8\nd\n", output, true), true);
  assert.throws(() => applyChange("a\nb\n", ["-c"]), /does not hold this once/);
  assert.equal(applyChange("a\nb\n", [" a", "-b", "+c"]), "a\nc\n");
});
