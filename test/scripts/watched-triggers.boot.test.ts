import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TRIGGER } from "../kit/guests/trigger-alone";
import { REBOX } from "../kit/project";

/** A trigger that says which version it is. */
function trigger(text: string): string {
  return `${TRIGGER}\nvoid trigger_init(callback_handle_t handle) { set_var_string(handle, "text", ${text}); }\n`;
}

const SCRIPT = `
  import { CallbackManager } from "rebox";
  let callbacks: CallbackManager;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    callbacks = new CallbackManager(handle);
    const name = callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, () => {});
    callbacks.addTrigger(name, "own/version");
    print("the trigger is " + String(callbacks.getTriggerVar(name, "text")));
  }
  export const clean = (): void => callbacks.clean();
`;

/** Runs a script under --watch, from a folder that is not the script's, on a machine that executes nothing. */
class WatchedRun {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "rebox-watched-")));
  readonly #log = join(this.folder, "log.json");
  readonly #child;
  output = "";

  constructor(options: readonly string[]) {
    mkdirSync(join(this.folder, "own"));
    mkdirSync(join(this.folder, "elsewhere/own"), { recursive: true });
    this.write("script.ts", SCRIPT);
    this.write("own/version.h", '#define VERSION "first"\n');
    this.write("own/version.c", `#include "version.h"\n${trigger("VERSION")}`);
    // In the current folder, where a path was looked for before: the script's own comes first.
    this.write("elsewhere/own/version.c", trigger('"of another folder"'));
    this.write("pyrebox.conf", "[PERMISSIONS]\nscript: triggers\n");
    const watched = ["--watch", "--json", this.#log, "--config", join(this.folder, "pyrebox.conf")];
    const machine = ["--", "-machine", "none", "-display", "none", "-monitor", "none"];
    const script = ["--script", join(this.folder, "script.ts")];
    this.#child = spawn(process.execPath, [REBOX, "run", ...options, ...watched, ...script, ...machine], {
      cwd: join(this.folder, "elsewhere"),
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** Waits for a text of rebox or of the script, behind all that was said before. */
  async until(text: string): Promise<void> {
    for (let tries = 0; tries < 3000; tries++) {
      if (this.#said().includes(text)) return;
      if (this.#child.exitCode !== null) break;
      await sleep(20);
    }
    throw new Error(`it never said ${text}\n${this.#said()}`);
  }

  async end(): Promise<void> {
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    if (this.#child.exitCode === null) {
      this.#child.kill("SIGTERM");
      await closed;
    }
    rmSync(this.folder, { recursive: true });
  }

  #said(): string {
    let log = "";
    try {
      log = readFileSync(this.#log, "utf8");
    } catch {
      // It begins with the first event.
    }
    return log + this.output;
  }
}

for (const [kind, options] of [
  ["in the sandbox", []],
  ["that is trusted", ["--trust"]],
] as const) {
  test(`the trigger of a script ${kind} lies beside the script, and --watch reloads the script when it is saved`, async () => {
    const run = new WatchedRun(options);
    try {
      await run.until("the trigger is first");
      run.write("own/version.h", '#define VERSION "second"\n');
      await run.until("the trigger is second");
      await run.until("script is reloaded: version 2");

      run.write("own/version.c", `#include "version.h"\n${trigger("VERSION + nothing")}`);
      await run.until("its old version goes on");
      assert.match(run.output, /own\/version\.c does not compile:\n.*own\/version\.c:9:\d+: error: .*nothing/s);
      assert.doesNotMatch(run.output, /version 3/);

      // Older than the library, as a file is that an editor or a version control system puts back.
      run.write("own/other.c", trigger('"third"'));
      utimesSync(join(run.folder, "own/other.c"), 1_000_000_000, 1_000_000_000);
      renameSync(join(run.folder, "own/other.c"), join(run.folder, "own/version.c"));
      await run.until("the trigger is third");
      await run.until("script is reloaded: version 3");
    } finally {
      await run.end();
    }
  });
}
