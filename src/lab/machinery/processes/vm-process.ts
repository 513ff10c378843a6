import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readlinkSync, realpathSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MachineryError } from "../../errors";
import { findProcess, isRunning, type ProcessIdentity } from "./process-identity";
import { writeWhole } from "../records/machine-file";

/** A message of QEMU is not longer, in characters. */
const MOST_OUTPUT = 4000;
/** The files that a process leaves behind, and that the next one makes anew. */
const FILES_OF_RUN = [
  "process.json",
  "vm.pid",
  "qmp.sock",
  "control.sock",
  "console.sock",
  "agent.sock",
  "screen.sock",
];
const KILL_LIMIT_MS = 60_000;
const POLL_MS = 20;
/** The ends of the processes that this process has started, by their folders; undefined for those that run. */
const lastEnds = new Map<string, string | undefined>();

/** The process of one machine. It outlives rebox, and the machine's folder records how to find it again. */
export class VmProcess {
  /** @param folder the machine's own */
  constructor(readonly folder: string) {}

  /** The socket on which QMP listens. */
  get qmpSocket(): string {
    return join(this.folder, "qmp.sock");
  }

  /** The file that QEMU itself writes its process id to, once it runs. */
  get pidFile(): string {
    return join(this.folder, "vm.pid");
  }

  /** The socket of the first serial port, of a machine that has one there. */
  get consoleSocket(): string {
    return join(this.folder, "console.sock");
  }

  /** The socket of QEMU's guest agent, of a machine that has a port for it. */
  get guestAgentSocket(): string {
    return join(this.folder, "agent.sock");
  }

  /** The socket of the machine's screen, of a machine that has one there. */
  get screenSocket(): string {
    return join(this.folder, "screen.sock");
  }

  /** The file that gets what the machine writes on its first serial port. */
  get consoleLog(): string {
    return join(this.folder, "console.log");
  }

  /** The end of the last process, its status or its signal; undefined when only another process of rebox knows. */
  get lastEnd(): string | undefined {
    return lastEnds.get(this.folder);
  }

  /** Waits until lastEnd is known, when it is this process that started it. */
  async waitForExit(limitMs: number): Promise<void> {
    const endMs = performance.now() + limitMs;
    while (lastEnds.has(this.folder) && this.lastEnd === undefined && performance.now() < endMs) await sleep(POLL_MS);
  }

  /** Returns the process that was started last, by whomever; undefined when it is gone. */
  find(): ProcessIdentity | undefined {
    try {
      const identity = JSON.parse(readFileSync(this.#file, "utf8")) as ProcessIdentity;
      return isRunning(identity) ? identity : undefined;
    } catch {
      return this.#findOrphan();
    }
  }

  /** Finds a process whose starter died before it could write it down. */
  #findOrphan(): ProcessIdentity | undefined {
    try {
      const identity = findProcess(Number(readFileSync(this.pidFile, "latin1").trim()));
      if (identity === undefined) return undefined;
      const args = readFileSync(`/proc/${identity.pid}/cmdline`, "utf8").split("\0");
      const cwd = readlinkSync(`/proc/${identity.pid}/cwd`);
      const named = args[args.indexOf("-pidfile") + 1] ?? "";
      return realpathSync(resolve(cwd, named)) === realpathSync(this.pidFile) ? identity : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Starts it.
   *
   * @param cwd where its relative paths start
   * @throws MachineryError when it cannot be started
   */
  async start(program: string, args: readonly string[], cwd: string): Promise<void> {
    const output = openSync(this.#output, "w", 0o600);
    try {
      const child = spawn(program, args, { cwd, detached: true, stdio: ["ignore", output, output] });
      await new Promise<void>((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", (error) => reject(new MachineryError(`${program} cannot be started: ${error.message}`)));
      });
      child.unref();
      lastEnds.set(this.folder, undefined);
      child.once("exit", (status, signal) => lastEnds.set(this.folder, String(signal ?? status)));
      const identity = findProcess(child.pid!);
      // Gone already: its output says why.
      if (identity !== undefined) writeWhole(this.#file, JSON.stringify({ ...identity, program, args }));
    } finally {
      closeSync(output);
    }
  }

  /** The end of its output. */
  get output(): string {
    try {
      return readFileSync(this.#output, "utf8").trim().slice(-MOST_OUTPUT);
    } catch {
      return "";
    }
  }

  /** Waits until it is gone. Returns false when it is still there after so long. */
  async waitForEnd(limitMs: number): Promise<boolean> {
    const endMs = performance.now() + limitMs;
    while (this.find() !== undefined) {
      if (performance.now() > endMs) return false;
      await sleep(POLL_MS);
    }
    return true;
  }

  /** Kills it, and waits until it is gone. @throws MachineryError when it stays */
  async kill(): Promise<void> {
    const identity = this.find();
    if (identity === undefined) return;
    process.kill(identity.pid, "SIGKILL");
    if (!(await this.waitForEnd(KILL_LIMIT_MS))) {
      throw new MachineryError(`process ${identity.pid} is still there ${KILL_LIMIT_MS / 1000} s after it was killed`);
    }
  }

  /**
   * Returns whether a process has ended whose remains are to be removed; true for only one of several callers. While a process
   * is being started there is none: the files in the folder belong to the new process.
   */
  claimEnd(): boolean {
    const claimed = `${this.#file}.${process.pid}`;
    try {
      renameSync(this.#file, claimed);
      const hasEnded = !isRunning(JSON.parse(readFileSync(claimed, "utf8")) as ProcessIdentity);
      // Another one has been started in this very moment.
      if (!hasEnded) renameSync(claimed, this.#file);
      else rmSync(claimed, { force: true });
      return hasEnded;
    } catch {
      return false;
    }
  }

  /** Forgets a process that is gone, and removes its sockets. */
  clean(): void {
    for (const name of FILES_OF_RUN) {
      const path = join(this.folder, name);
      if (existsSync(path)) rmSync(path, { force: true });
    }
  }

  get #file(): string {
    return join(this.folder, "process.json");
  }

  get #output(): string {
    return join(this.folder, "output.log");
  }
}
