import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { readScreen, type ShownGuest } from "./ui-screen-reader";

const run = promisify(execFile);
/** For anything to appear: a guest may have to boot, on a machine that is busy. */
const PATIENCE_MS = 90_000;
const POLL_MS = 50;
// eslint-disable-next-line no-control-regex -- styles are made of control characters
const SGR_OR_TEXT = /\x1b\[([0-9;]*)m|[^\x1b\n]+/g;

/** What a terminal shows beside its characters. */
export interface TerminalState {
  readonly isCursorShown: boolean;
  /** The screen that programs switch to and back from. */
  readonly isAlternate: boolean;
  readonly title: string;
}

/** A shell in a real terminal: a tmux server of its own, without anybody's configuration. */
export class TmuxTerminal {
  #columns = 80;

  private constructor(
    private readonly folder: string,
    private readonly socket: string,
  ) {}

  /** @param term what TERM says in it */
  static async open(columns: number, rows: number, term = "screen"): Promise<TmuxTerminal> {
    const folder = mkdtempSync(join(tmpdir(), "rebox-tmux-"));
    const configuration = join(folder, "tmux.conf");
    writeFileSync(configuration, `set -g default-terminal ${term}\nset -sg escape-time 0\nset -g status off\n`);
    const terminal = new TmuxTerminal(folder, join(folder, "socket"));
    const size = ["-x", String(columns), "-y", String(rows)];
    const shell = ["env", "-u", "TMUX", "PS1=$ ", "bash", "--norc", "--noprofile"];
    await terminal.#tmux("-f", configuration, "new-session", "-d", ...size, ...shell);
    await terminal.resize(columns, rows);
    await terminal.until("a prompt", (screen) => screen.trimEnd().endsWith("$"));
    return terminal;
  }

  /** Types a line, and Enter. */
  async enter(line: string): Promise<void> {
    await this.type(line);
    await this.press("Enter");
  }

  /** Types text as it is. */
  async type(text: string): Promise<void> {
    await this.#tmux("send-keys", "-l", "--", text);
  }

  /** Presses keys, by tmux' names: F5, C-c, M-s, BTab, PPage. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#tmux("send-keys", "--", ...keys);
  }

  /** Reads the rows of the screen, without blanks at their ends. */
  async rows(): Promise<string[]> {
    return (await this.#tmux("capture-pane", "-p")).split("\n").slice(0, -1);
  }

  /** Reads the rows of the screen with their styles, as control characters. */
  async styled(): Promise<string> {
    return (await this.#tmux("capture-pane", "-p", "-e")).replace(/\n$/, "");
  }

  /** Reads of each row what is shown reversed. */
  async reversed(): Promise<string[]> {
    let isReversed = false;
    const text = (await this.styled()).replace(SGR_OR_TEXT, (part, codes?: string) => {
      if (codes === undefined) return isReversed ? part : "";
      for (const code of codes.split(";")) isReversed = code === "7" || (isReversed && !["", "0", "27"].includes(code));
      return "";
    });
    return text.split("\n");
  }

  /** The path of the terminal's device: whoever writes to it writes over the screen. */
  async device(): Promise<string> {
    return (await this.#tmux("display-message", "-p", "#{pane_tty}")).trim();
  }

  async state(): Promise<TerminalState> {
    const format = "#{cursor_flag} #{alternate_on} #{pane_title}";
    const [cursor, alternate, ...title] = (await this.#tmux("display-message", "-p", format)).trimEnd().split(" ");
    return { isCursorShown: cursor === "1", isAlternate: alternate === "1", title: title.join(" ") };
  }

  /** Reads what the terminal UI shows in its panes. */
  read(rows: readonly string[]): ShownGuest {
    return readScreen(rows, this.#columns);
  }

  /** Gives the terminal another size, in cells. */
  async resize(columns: number, rows: number): Promise<void> {
    this.#columns = columns;
    await this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /**
   * Waits until the screen is as wanted.
   *
   * @param what is waited for, for the message when it does not come
   * @returns the screen's rows
   */
  async until(what: string, isWanted: (screen: string, rows: readonly string[]) => unknown): Promise<string[]> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const rows = await this.rows();
      if (await isWanted(rows.join("\n"), rows)) return rows;
      if (Date.now() > end) throw new Error(`${what} did not come; the screen is:\n${rows.join("\n")}`);
      await sleep(POLL_MS);
    }
  }

  /** Carries out a line in the terminal's own shell. @returns what it printed; it must not clear the screen */
  async shell(line: string): Promise<string> {
    const mark = `${Date.now()}`;
    // The typed line does not contain the mark as it is printed.
    await this.enter(`clear; ${line}; echo end-"${mark}"`);
    const rows = await this.until(`the end of ${line}`, (screen) => screen.includes(`end-${mark}`));
    return rows.slice(0, rows.indexOf(`end-${mark}`)).join("\n");
  }

  /** Ends everything that runs in it. */
  async close(): Promise<void> {
    await this.#tmux("kill-server").catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #tmux(...args: readonly string[]): Promise<string> {
    const environment = { ...process.env, TMUX: undefined, LC_ALL: "C.UTF-8" };
    const { stdout } = await run("tmux", ["-u", "-S", this.socket, ...args], { env: environment });
    return stdout;
  }
}
