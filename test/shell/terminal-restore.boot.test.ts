import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findProcesses } from "../kit/find-processes";
import { TmuxTerminal } from "../kit/terminal/tmux-terminal";
import { runLine, UiRun } from "../kit/terminal/ui-run";

/** Sends a signal to the process that has these arguments and, where there is one with an engine behind it, is in front. */
async function signal(name: NodeJS.Signals, ...words: readonly string[]): Promise<void> {
  const behind = words.includes("--behind-ui") ? [] : findProcesses(...words, "--behind-ui");
  const [id, ...others] = findProcesses(...words).filter((found) => !behind.includes(found));
  assert.deepEqual(others, []);
  process.kill(id!, name);
}

/** Starts the UI from the terminal's own shell, ends it, and checks the terminal. @returns what is on the screen then */
async function checkRestored(terminal: TmuxTerminal, line: string, end: () => Promise<void>): Promise<string> {
  const before = await terminal.shell("stty -g");
  await terminal.enter(`clear; ${line}; echo status "$?"`);
  await terminal.until("the UI", (screen) => screen.includes("[1 registers]") && screen.includes("=>"));
  assert.equal((await terminal.state()).isAlternate, true);
  await end();
  const rows = await terminal.until("the end of the UI", (screen) => /^status \d+$/m.test(screen));
  const screen = rows.join("\n");
  assert.deepEqual([screen.includes("[1 registers]"), screen.includes("=>")], [false, false], screen);
  const { isCursorShown, isAlternate } = await terminal.state();
  assert.deepEqual({ isCursorShown, isAlternate }, { isCursorShown: true, isAlternate: false });
  assert.equal(await terminal.shell("stty -g"), before);
  return screen;
}

test("however the UI of rebox attach ends, the terminal is as it was before, and the guest goes on", async () => {
  await UiRun.with({ qemuArgs: ["-S"], reboxArgs: [] }, async (run) => {
    const terminal = await run.openTerminal(100, 40);
    const line = run.attachLine();
    assert.match(await checkRestored(terminal, line, () => terminal.press("C-d")), /^status 0$/m);
    assert.match(await checkRestored(terminal, line, () => terminal.enter("quit")), /^status 0$/m);
    // While the help is shown, and the cursor is hidden.
    const inHelp = async () => {
      await terminal.press("M-1", "F7", "F1");
      await terminal.until("the help", (screen) => screen.includes("any key goes back"));
      await signal("SIGTERM", "attach", run.socket);
    };
    assert.match(await checkRestored(terminal, line, inHelp), /^status 143$/m);
    for (const [name, status] of [
      ["SIGHUP", 129],
      ["SIGINT", 130],
    ] as const) {
      const screen = await checkRestored(terminal, line, () => signal(name, "attach", run.socket));
      assert.match(screen, new RegExp(`^status ${status}$`, "m"));
    }
    assert.equal((await run.data<{ state: string }>("status")).state, "paused");
    // The engine goes while the UI is open.
    assert.match(await checkRestored(terminal, line, () => signal("SIGKILL", "run", run.socket)), /^status 0$/m);
  });
});

test("however rebox run --ui ends, the terminal is as it was before, and nothing is left running", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-restore-"));
  const terminal = await TmuxTerminal.open(100, 40);
  const socket = join(folder, "control");
  const line = runLine({ qemuArgs: ["-S"] }, "--ui", "--control", socket);
  const engine = ["--behind-ui", socket];
  try {
    for (const [end, status] of [
      [() => terminal.enter("quit machine"), 0],
      [() => signal("SIGTERM", "--ui", socket), 143],
      [() => signal("SIGKILL", ...engine), 137],
      [() => signal("SIGSEGV", ...engine), 139],
    ] as const) {
      // The process behind the UI has all arguments of the one in front.
      const screen = await checkRestored(terminal, line, end);
      assert.match(screen, new RegExp(`^status ${status}$`, "m"));
      assert.deepEqual(findProcesses(socket), []);
    }
    // The user leaves: the guest goes on, until Ctrl-C.
    const leave = async () => {
      await terminal.press("C-d");
      await terminal.until("the news", (screen) => screen.includes("rebox: the guest goes on: Ctrl-C ends it"));
      assert.equal(findProcesses(...engine).length, 1);
      await terminal.press("C-c");
    };
    assert.match(await checkRestored(terminal, line, leave), /^status 130$/m);
    assert.deepEqual(findProcesses(socket), []);
    // Nobody can restore the terminal then; but the guest does not go on without a master.
    await terminal.enter(line);
    await terminal.until("the UI", (screen) => screen.includes("[1 registers]") && screen.includes("=>"));
    await signal("SIGKILL", "--ui", socket);
    await terminal.until("the end of the guest", () => findProcesses(socket).length === 0);
    assert.equal(existsSync(socket), false);
  } finally {
    await terminal.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("what the guest and QEMU have said last is on the terminal when the UI is gone", async () => {
  const terminal = await TmuxTerminal.open(100, 40);
  try {
    await terminal.enter(`${runLine({ qemuArgs: ["-no-such-option"] }, "--ui")}; echo status "$?"`);
    const refused = await terminal.until("the end", (screen) => /^status \d+$/m.test(screen));
    assert.match(refused.join("\n"), /-no-such-option[^]*^status 1$/m);
    await terminal.enter(`clear; ${runLine({ task: "poweroff" }, "--ui", "--timeout", "80")}; echo status "$?"`);
    await terminal.until("the UI", (screen) => screen.includes("[1 registers]"));
    const over = await terminal.until("the end", (screen) => /^status \d+$/m.test(screen));
    assert.match(over.join("\n"), /^status 0$/m);
  } finally {
    await terminal.close();
  }
});

test("at a terminal --shell is the UI, and plain lines with --plain or TERM=dumb: with history, completion and Ctrl-C", async () => {
  await UiRun.with({ columns: 100, rows: 40, reboxArgs: ["--shell", "--plain"], qemuArgs: ["-S"] }, async (run) => {
    const { terminal } = run;
    const last = (text: string) =>
      terminal.until(text, (screen) => screen.trimEnd().split("\n").at(-1)!.trimEnd() === text);
    await last("rebox>");
    await terminal.enter("cont");
    await terminal.until("the answer", (screen) => screen.includes("the guest goes on"));
    await run.untilState("running");
    await terminal.press("C-c");
    await terminal.until("a pause", (screen) => screen.includes("the guest stands still at 0x"));
    await run.untilState("paused");
    await terminal.press("Up");
    await last("rebox> cont");
    await terminal.press("C-u");
    await terminal.type("list_m");
    await terminal.press("Tab");
    await terminal.until("the name", (screen) => screen.includes("rebox> list_modules"));
    await terminal.press("C-u");
    await terminal.enter("$long_name = 1");
    await terminal.until("the answer", (screen) => /^\$long_name +0x1\nrebox>$/m.test(screen.trimEnd()));
    await terminal.type("db $lo");
    await terminal.press("Tab");
    await terminal.until("the variable", (screen) => screen.includes("rebox> db $long_name"));
    const other = await run.openTerminal(100, 40);
    await other.enter(`TERM=dumb ${run.attachLine()}`);
    await other.until("the prompt", (screen) => screen.trimEnd().endsWith("\nrebox>"));
    await other.press("C-d");
    await other.enter(`clear; ${run.attachLine("--ui")} < /dev/null`);
    await other.until("the refusal", (screen) => screen.includes("--ui needs a terminal"));
    await other.enter(`clear; ${runLine({ qemuArgs: ["-serial", "stdio"] }, "--ui")}`);
    await other.until("the refusal", (screen) => screen.includes("QEMU's arguments use stdio"));
    await other.enter(`clear; ${runLine({ qemuArgs: ["-S"] }, "--shell")}`);
    await other.until("the UI", (screen) => screen.includes("[1 registers]"));
    await other.enter("quit machine");
    await other.until("the end", (screen) => screen.trimEnd().endsWith("$"));
  });
});
