import assert from "node:assert/strict";
import { test } from "node:test";
import type { TmuxTerminal } from "../kit/terminal/tmux-terminal";
import { readTexts } from "../kit/terminal/ui-screen-reader";
import { UiRun } from "../kit/terminal/ui-run";

/** What escape codes, and blessed's own codes in braces, would do to the screen. */
const EVIL = "\\x1b[2J\\x1b]0;evil\\x07\\x1b[1;1H{red-fg}{/}x";

/** Waits until the text of a pane is as wanted. */
function untilPane(terminal: TmuxTerminal, width: number, name: string, isWanted: (text: string) => boolean) {
  return terminal.until(`what is wanted in ${name}`, (_, rows) =>
    isWanted((readTexts(rows, width).get(name) ?? []).join("\n")),
  );
}

test("the console shows the guest's serial line and types on it, and Ctrl-C pauses the guest there too", async () => {
  await UiRun.with({ columns: 200, rows: 60 }, async (run) => {
    const { terminal } = run;
    await untilPane(terminal, 200, "console", (text) => text.trimEnd().endsWith("/ #"));
    await terminal.press("M-5");
    await terminal.enter("echo typed-$((6 * 7))");
    await untilPane(terminal, 200, "console", (text) => /^typed-42$/m.test(text));
    // Keys with a meaning elsewhere are typed: letters, and Alt with a letter.
    await terminal.type("echo scnpq");
    await terminal.press("BSpace", "Enter");
    await untilPane(terminal, 200, "console", (text) => /^scnp$/m.test(text));
    await terminal.enter("sleep 1000");
    await untilPane(terminal, 200, "console", (text) => text.trimEnd().endsWith("sleep 1000"));
    await terminal.press("C-v", "C-c");
    await untilPane(terminal, 200, "console", (text) => /sleep 1000\n\^C\n\/ #$/.test(text.trimEnd()));

    // What the guest prints moves nothing on the screen.
    const before = await terminal.rows();
    await terminal.enter(`printf '${EVIL.replaceAll("\\x", "\\\\x")}'; echo; echo done`);
    await terminal.enter(`printf '${EVIL}'; echo; echo really done`);
    const after = await untilPane(terminal, 200, "console", (text) => /^really done$/m.test(text));
    assert.match((readTexts(after, 200).get("console") ?? []).join("\n"), /\{red-fg\}\{\/\}x/);
    const titles = (rows: readonly string[]) => rows.map((row, at) => (row.includes(" ---") ? `${at}` : "")).join("");
    assert.equal(titles(after), titles(before));
    assert.notEqual((await terminal.state()).title, "evil");

    await terminal.press("C-c");
    await run.untilState("paused");
    await terminal.until("a guest that stands", (screen) => screen.startsWith("rebox: paused"));
    await terminal.press("F5");
    await run.untilState("running");

    // A process with an evil name, in answers, in the prompt and in the first row.
    await terminal.press("C-o", "F6", "F6");
    const [{ task }] = await run.data<[{ task: string }]>("ps 1");
    const offset = (await run.data<{ name: string; offset: string }[]>("dt task_struct")).find(
      ({ name }) => name === "comm",
    )!.offset;
    await run.data(`write ${task}+${offset}="\\x1b[2J{bold}evil\\0"`);
    await terminal.enter("ps 1");
    await untilPane(terminal, 200, "shell", (text) => text.includes(" \\x1b[2J{bold}evil "));
    await terminal.enter("proc 1");
    await terminal.until("the prompt", (_, rows) => rows.at(-1)?.startsWith("rebox \\x1b[2J{bold}evil:1>"));
    await terminal.until("the first row", (_, rows) => rows[0]?.includes("looking at \\x1b[2J{bold}evil:1"));
    assert.equal(titles(await terminal.rows()), titles(before));
  });
});

test("the panes follow the terminal's size, and several terminals of any kind show one guest at once", async () => {
  await UiRun.with({ columns: 80, rows: 24, qemuArgs: ["-S"] }, async (run) => {
    const { terminal } = run;
    const all = ["registers", "code", "stack", "memory", "console", "output", "shell"];
    for (const [columns, rows, shown] of [
      [80, 24, ["registers", "code", "stack", "shell"]],
      [200, 60, all],
      [100, 40, ["registers", "code", "stack", "memory", "shell"]],
      [60, 16, ["registers", "code", "stack", "shell"]],
      [41, 9, ["shell"]],
      [140, 20, all],
      [80, 24, ["registers", "code", "stack", "shell"]],
    ] as const) {
      await terminal.resize(columns, rows);
      await terminal.until(`the panes of ${columns} x ${rows}`, (screen, lines) => {
        const names = [...screen.matchAll(/\[\d ([a-z]+)\]/g)].map(([, name]) => name!);
        const isWhole = lines.at(-1)?.startsWith("rebox>") && lines[0]?.startsWith("rebox: paused");
        return isWhole && names.toSorted().join() === shown.toSorted().join();
      });
    }
    const rip = (await run.monitorRegisters()).get("EIP");
    assert.notEqual(rip, undefined);
    let place = rip;
    for (const term of ["vt100", "screen", "tmux-256color", "xterm-256color", "linux"]) {
      const other = await run.attach(80, 24, term);
      await other.until(
        `the same registers with TERM=${term}`,
        (_, rows) => other.read(rows).registers.get("RIP") === place,
      );
      const [first, second] = [await terminal.rows(), await other.rows()];
      for (const at of [1, 2, 3, 10, 17, 23]) assert.equal(second[at], first[at], `row ${at} with TERM=${term}`);
      // A step in one is a step in all.
      if (term !== "vt100") continue;
      await other.press("Escape", "s");
      for (const one of [terminal, other]) {
        const rows = await one.until(
          "the step",
          (_, lines) => ![undefined, rip].includes(one.read(lines).registers.get("RIP")),
        );
        place = one.read(rows).registers.get("RIP");
      }
      assert.equal((await run.monitorRegisters()).get("EIP"), place);
    }
  });
});

test("what scripts print is shown in their pane, however they print it, and spoils no other", async () => {
  await UiRun.with({ columns: 200, rows: 60, reboxArgs: ["--ui"], qemuArgs: ["-S"], script: PRINTS }, async (run) => {
    for (const terminal of [run.terminal, await run.attach(200, 60)]) {
      const isDirectShown = terminal === run.terminal;
      await untilPane(terminal, 200, "output", (text) => {
        const own = text.includes("[script] by the printer {bold}\\x1b[2J\n") && text.includes("by the console");
        return own && (!isDirectShown || (text.includes("by the process") && text.includes("by the file")));
      });
      const rows = await terminal.rows();
      assert.match(rows[1]!, /^\[1 registers\]/);
      assert.equal(rows.filter((row) => row.includes("by the file")).length, isDirectShown ? 1 : 0);
    }
  });
});

const PRINTS = `
  import { writeSync } from "node:fs";
  export function initialize_callbacks(_: number, print: (text: string) => void): void {
    print("by the printer {bold}\\x1b[2J");
    console.log("by the console");
    process.stdout.write("by the process\\n");
    writeSync(2, "by the file\\n");
  }
  export const clean = (): void => {};
`;
