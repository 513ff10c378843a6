import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Action, describeKeys, KEYS } from "../../src/shell/ui/keys";
import type { TmuxTerminal } from "../kit/terminal/tmux-terminal";
import { readTexts } from "../kit/terminal/ui-screen-reader";
import { UiRun } from "../kit/terminal/ui-run";
import { PROJECT } from "../kit/project";

const COLUMNS = 110;
/** How tmux calls a key that KeyReader has another name for. */
const TMUX_NAMES: Readonly<Record<string, string>> = { "S-tab": "BTab", "\t": "Tab" };

const nameForTmux = (key: string) => TMUX_NAMES[key] ?? key.replace(/^f(\d+)$/, "F$1");

/** Waits until a pane has the focus: its title is reversed. */
function untilFocus(terminal: TmuxTerminal, pane: string): Promise<unknown> {
  const title = new RegExp(`^(?: \\d [a-z]+ )*\\[\\d ${pane}\\]`);
  return terminal.until(`the focus on ${pane}`, async () => (await terminal.reversed()).some((row) => title.test(row)));
}

async function paneOf(terminal: TmuxTerminal, name: string): Promise<string> {
  return (readTexts(await terminal.rows(), COLUMNS).get(name) ?? []).join("\n");
}

/** Waits until the text of a pane is as wanted. */
function untilPane(terminal: TmuxTerminal, name: string, expression: RegExp): Promise<unknown> {
  const isThere = (_: string, rows: readonly string[]) =>
    expression.test((readTexts(rows, COLUMNS).get(name) ?? []).join("\n"));
  return terminal.until(`${expression} in ${name}`, isThere);
}

/** What shows that a key has done what it is for, in a machine that stands still at its first instruction. */
const CHECKS: Readonly<Record<Action, (terminal: TmuxTerminal, press: () => Promise<void>) => Promise<unknown>>> = {
  help: async (terminal, press) => {
    await press();
    for (const { shown, what } of KEYS) {
      await terminal.until(`the help about ${shown}`, (screen) => screen.includes(shown) && screen.includes(what));
    }
    await terminal.press("x");
    await terminal.until("the panes", (screen) => screen.includes("[1 registers]") && !screen.includes("any key"));
  },
  continue: async (terminal, press) => {
    await press();
    await untilPane(terminal, "shell", /rebox> cont/);
    await terminal.until("a running guest", (screen) => screen.startsWith("rebox: running"));
    await terminal.press("C-c");
    await terminal.until("a guest that stands", (screen) => screen.startsWith("rebox: paused"));
  },
  pause: async (terminal, press) => {
    await terminal.press("F5");
    await terminal.until("a running guest", (screen) => screen.startsWith("rebox: running"));
    await press();
    await terminal.until("a guest that stands", (screen) => screen.startsWith("rebox: paused"));
  },
  step: (terminal, press) => checkLine(terminal, press, "step"),
  next: (terminal, press) => checkLine(terminal, press, "next"),
  finish: async (terminal, press) => {
    await beginLine(terminal, press);
    // The function where the guest was paused may go on for as long as it likes.
    const isWaiting = (_: string, rows: readonly string[]) => rows[0]!.includes("waits for: finish");
    const isOver = (_: string, rows: readonly string[]) =>
      endOfLine("finish").test((readTexts(rows, COLUMNS).get("shell") ?? []).join("\n"));
    await terminal.until("what finish does", (screen, rows) => isWaiting(screen, rows) || isOver(screen, rows));
    if (isWaiting("", await terminal.rows())) await terminal.press("C-c");
    await untilPane(terminal, "shell", endOfLine("finish"));
  },
  breakpoint: async (terminal, press) => {
    await press();
    await untilPane(terminal, "code", /^\*=> /m);
    await press();
    await untilPane(terminal, "code", /^ => /m);
  },
  nextPane: async (terminal, press) => {
    await terminal.press("M-1");
    await untilFocus(terminal, "registers");
    await press();
    await untilFocus(terminal, "code");
  },
  previousPane: async (terminal, press) => {
    await terminal.press("M-3");
    await untilFocus(terminal, "stack");
    await press();
    await untilFocus(terminal, "code");
  },
  zoom: async (terminal, press) => {
    await press();
    await terminal.until(
      "one pane",
      (screen) => !screen.includes("[1 registers]\n") && (screen.match(/\[\d /g) ?? []).length === 1,
    );
    await press();
    await terminal.until("all panes", (screen) => (screen.match(/\[\d /g) ?? []).length > 3);
  },
  goTo: async (terminal, press) => {
    for (const place of ["p7c00", "rsp"]) {
      await press();
      await terminal.until("the question", (_, rows) => rows.at(-1)?.startsWith("memory at:"));
      await terminal.enter(place);
      await terminal.until(place, (screen) => screen.includes(`[4 memory] ${place} `));
    }
  },
  redraw: async (terminal, press) => {
    // Whatever else writes to the terminal spoils the screen.
    writeFileSync(await terminal.device(), "\x1b[5;5Hspoiled\x1b[9;9Hspoiled");
    await terminal.until("a spoiled screen", (screen) => screen.includes("spoiled"));
    await press();
    await terminal.until(
      "a screen as before",
      (screen) => !screen.includes("spoiled") && screen.includes("[1 registers]"),
    );
  },
  commandLine: async (terminal, press) => {
    await press();
    await terminal.type("abc");
    await terminal.until("what is typed", (_, rows) => rows.at(-1)?.startsWith("rebox> abc"));
    await terminal.press("C-u");
    await terminal.until("an empty line", (_, rows) => rows.at(-1) === "rebox>");
  },
  quit: async (terminal, press) => {
    await press();
    await terminal.until("the shell's prompt", (screen) => /^\$ *$/m.test(screen.trimEnd().split("\n").at(-1)!));
  },
};

/** The line is carried out, and shown. */
async function checkLine(terminal: TmuxTerminal, press: () => Promise<void>, line: string): Promise<void> {
  await beginLine(terminal, press);
  await untilPane(terminal, "shell", endOfLine(line));
}

/** Presses the key when the shell shows that all lines before it are done. */
async function beginLine(terminal: TmuxTerminal, press: () => Promise<void>): Promise<void> {
  await terminal.press("M-0");
  await terminal.enter("$");
  await untilPane(terminal, "shell", /there is no variable$/);
  await press();
}

/** What the shell shows when the last line is done; those before it, of the same words, are above. */
const endOfLine = (line: string) =>
  new RegExp(`there is no variable\\nrebox> ${line}\\n((?!rebox> ).)*\\S((?!rebox> ).)*$`, "s");

test("every key that the help and docs/reference/terminal-ui.md describe does what they say", async () => {
  await UiRun.with({ columns: COLUMNS, rows: 44, qemuArgs: ["-S"] }, async (run) => {
    const terminal = await run.attach(COLUMNS, 44);
    await terminal.until("the UI", (screen) => screen.includes("[1 registers]") && screen.includes("=>"));
    for (const { action, keys, letter } of KEYS.filter((one) => one.action !== "quit")) {
      const inLine = keys.map((key) => [nameForTmux(key)]);
      if (action === "pause") inLine.push(["C-c"]);
      // Esc, then the key: a terminal without Alt.
      inLine.push(...keys.filter((key) => key.startsWith("M-")).map((key) => ["Escape", key.slice(2)]));
      for (const key of inLine) await CHECKS[action](terminal, () => terminal.press(...key));
      await terminal.press("M-0");
      if (letter === undefined) continue;
      const inPane = async () => {
        const focused = action === "nextPane" ? undefined : "M-1";
        if (focused) {
          await terminal.press(focused);
          await untilFocus(terminal, "registers");
        }
        await terminal.press(nameForTmux(letter));
      };
      await CHECKS[action](terminal, inPane);
      await terminal.press("M-0");
    }
    for (const [index, pane] of ["registers", "code", "stack", "memory", "console", "output", "shell"].entries()) {
      await terminal.press(`M-${index + 1}`);
      await untilFocus(terminal, pane);
      if (pane === "console") await terminal.press("F6");
    }
    await terminal.press("M-0");
    await terminal.press("Tab");
    await untilFocus(terminal, "registers");
    for (const keys of [["M-q"], ["Escape", "q"], ["C-d"]]) {
      await terminal.press("M-0");
      await CHECKS.quit(terminal, () => terminal.press(...keys));
      await terminal.enter(run.attachLine());
      await terminal.until("the UI", (screen) => screen.includes("[1 registers]"));
    }
  });
  const page = readFileSync(join(PROJECT, "docs/reference/terminal-ui.md"), "utf8");
  for (const row of describeKeys())
    assert.ok(page.includes(row.trimEnd()), `docs/reference/terminal-ui.md lacks: ${row}`);
});

test("what a pane shows is scrolled by rows and pages, and the command line has history and completion", async () => {
  await UiRun.with({ columns: COLUMNS, rows: 44, qemuArgs: ["-S"] }, async ({ terminal }) => {
    await terminal.until("the code", (screen) => screen.includes("=>"));
    const firstAddress = async () => terminal.read(await terminal.rows()).memory[0]?.address;
    await terminal.press("M-g");
    await terminal.enter("p7c00");
    await terminal.until("memory", async () => (await firstAddress()) === 0x7c00n);
    const height = terminal.read(await terminal.rows()).memory.length;
    await terminal.press("M-4");
    for (const [key, address] of [
      ["Down", 0x7c10n],
      ["Up", 0x7c00n],
      ["PPage", 0x7c00n - 16n * BigInt(height - 1)],
      ["NPage", 0x7c00n],
      ["NPage", 0x7c00n + 16n * BigInt(height - 1)],
      ["Home", 0x7c00n],
    ] as const) {
      await terminal.press(key);
      await terminal.until(`${key} to ${address.toString(16)}`, async () => (await firstAddress()) === address);
    }
    const code = async () => terminal.read(await terminal.rows()).code.map(({ address }) => address);
    await terminal.press("M-2");
    const before = await code();
    await terminal.press("NPage");
    await terminal.until("code further down", async () => (await code())[0]! > before.at(-2)!);
    await terminal.press("Home");
    await terminal.until("the code as before", async () => (await code())[0] === before[0]);

    await terminal.press("M-0");
    await terminal.enter("help");
    await untilPane(terminal, "shell", /shell +help, h/);
    await terminal.press("PPage");
    await terminal.until("text further up", (screen) => /\[7 shell\].* \d+ more below/.test(screen));
    const above = await paneOf(terminal, "shell");
    await terminal.enter("status");
    await untilPane(terminal, "shell", /rebox> status\nthe guest is paused/);
    assert.notEqual(await paneOf(terminal, "shell"), above);

    const line = (text: string) =>
      terminal.until(text, (_, rows) => rows.at(-1)?.trimEnd() === `rebox> ${text}`.trimEnd());
    await terminal.press("Up");
    await line("status");
    await terminal.press("Up");
    await line("help");
    await terminal.press("Down", "Down");
    await line("");
    await terminal.type("list_m");
    await terminal.press("Tab");
    await line("list_modules");
    await terminal.press("C-a", "DC", "C-e", "BSpace", "BSpace");
    await line("ist_module");
    await terminal.press("C-u");
    await terminal.type("set");
    await terminal.press("Tab", "Tab");
    await line("set");
    await untilPane(terminal, "shell", /^set_cpu {2}setcpu$/m);
    await terminal.press("C-w");
    await line("");
  });
});
