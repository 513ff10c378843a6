import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { places } from "./places.mjs";
import { SetupError } from "./setup-error.mjs";

/** One step at work: it owns the step's log, its lines on the terminal, and the commands it runs. */
export class Task {
  #log;
  #started = Date.now();
  #lastTenth = 0;
  #lineIsOpen = false;

  /** @param {string} name the step's name, which prefixes its lines and names its log */
  constructor(name) {
    this.name = name;
    this.logPath = join(places.logs, `${name}.log`);
    mkdirSync(places.logs, { recursive: true });
    this.#log = createWriteStream(this.logPath);
  }

  /** Prints one line for the person at the terminal. */
  say(text) {
    this.#closeLine();
    console.log(`${this.name}: ${text}`);
    this.note(`# ${text}`);
  }

  /** Writes a line to the step's log only. */
  note(text) {
    this.#log.write(`${text}\n`);
  }

  /** Shows how far a long command is: in place on a terminal, once per tenth elsewhere. */
  progress(done, total) {
    const text = `${this.name}: ${done}/${total} (${Math.floor((100 * done) / total)} %), ${this.elapsed}`;
    if (process.stdout.isTTY) {
      process.stdout.write(`\r\x1b[K${text}`);
      this.#lineIsOpen = true;
      return;
    }
    const tenth = Math.floor((10 * done) / total);
    // Ninja may raise or lower its total while it runs, so only a new tenth is news.
    if (tenth > this.#lastTenth) {
      this.#lastTenth = tenth;
      console.log(text);
    }
  }

  /** Returns the time since the step began, as minutes:seconds. */
  get elapsed() {
    const seconds = Math.round((Date.now() - this.#started) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  /**
   * Runs a command with its output in the log and returns its standard output.
   * @param {string} command
   * @param {string[]} args
   * @param {{cwd?: string, env?: NodeJS.ProcessEnv, onLine?: (line: string) => void}} options
   * @returns {Promise<string>}
   */
  async run(command, args, { cwd = places.root, env = {}, onLine } = {}) {
    this.note(`$ (cd ${cwd}) ${[command, ...args].join(" ")}`);
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    const failedToStart = new Promise((_, reject) => child.once("error", reject));
    const closed = new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)));
    const output = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.note(line);
        if (stream === child.stdout) output.push(line);
        onLine?.(line);
      });
    }
    const status = await Promise.race([closed, failedToStart]).catch((error) => error.message);
    if (status === 0) return output.join("\n");
    throw new SetupError(`"${command} ${args[0] ?? ""}" ended with ${status} in ${cwd}`, { logHelps: true });
  }

  /** Returns the end of the log. */
  tail(lines = 25) {
    return readFileSync(this.logPath, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Ends the step's log and its open terminal line. */
  async close() {
    this.#closeLine();
    await new Promise((resolve) => this.#log.end(resolve));
  }

  #closeLine() {
    if (this.#lineIsOpen) process.stdout.write("\r\x1b[K");
    this.#lineIsOpen = false;
  }
}
