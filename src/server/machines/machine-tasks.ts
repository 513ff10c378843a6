import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { findProcess, isRunning, type ProcessIdentity } from "../../lab/machinery/processes/process-identity";
import { writeWhole } from "../../lab/machinery/records/machine-file";
import { getServerFolder } from "../accounts/account-database";
import { ConflictError, NotThereError } from "../errors";

const PROGRAM = join(getProjectFolder(), "build/js/src/cli/main.js");
/** The end of what a task has said, in characters. */
const SHOWN = 4_000;

/** Something that is done with a machine, by `rebox machine` in a process of its own. */
export interface MachineTask {
  /** "start", "stop" or "prepare". */
  readonly action: string;
  /** Who asked for it. */
  readonly by: string;
  /** ISO 8601, UTC. */
  readonly began: string;
  readonly isRunning: boolean;
  /** Undefined while it runs, and when the server was gone at its end: the text says how it went then. */
  readonly status: number | undefined;
  /** The end of its output so far. */
  readonly text: string;
}

interface TaskRecord {
  readonly action: string;
  readonly by: string;
  readonly began: string;
  readonly process: ProcessIdentity | undefined;
  readonly status?: number;
}

/**
 * Starts, stops and prepares machines: each in a process of its own, since preparing takes minutes and goes on when the server is gone. The
 * last task of each machine is kept.
 */
export class MachineTasks {
  readonly #folder: string;
  /** The machines whose tasks this server has begun, and whose ends it has not heard of yet. */
  readonly #own = new Set<string>();

  constructor(private readonly labFolder: string) {
    this.#folder = join(getServerFolder(labFolder), "tasks");
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /**
   * Begins a task.
   *
   * @param args behind `rebox machine ACTION NAME`
   * @param onEnd is told the exit status
   * @throws ConflictError while another one of the machine runs
   */
  begin(machine: string, action: string, args: readonly string[], by: string, onEnd: (status: number) => void): void {
    const before = this.find(machine);
    if (before?.isRunning === true) throw new ConflictError(`${machine}: ${before.action} goes on; wait for its end`);
    const output = openSync(this.#fileOf(machine, "log"), "w", 0o600);
    try {
      const words = ["machine", action, machine, "--lab", this.labFolder, ...args];
      const child = spawn(process.execPath, [...process.execArgv, PROGRAM, ...words], {
        ...{ detached: true, stdio: ["ignore", output, output] },
      });
      const process_ = child.pid === undefined ? undefined : findProcess(child.pid);
      const record: TaskRecord = { action, by, began: new Date().toISOString(), process: process_ };
      this.#write(machine, record);
      this.#own.add(machine);
      const end = (status: number) => {
        this.#own.delete(machine);
        this.#write(machine, { ...record, process: undefined, status });
        onEnd(status);
      };
      child.once("error", () => end(1));
      child.once("exit", (status) => end(status ?? 1));
      child.unref();
    } finally {
      closeSync(output);
    }
  }

  /** Has the task of a machine end early, and clean up. @throws NotThereError */
  cancel(machine: string): void {
    const { process: identity } = this.#read(machine) ?? {};
    if (identity === undefined || !isRunning(identity)) throw new NotThereError(`nothing is done with ${machine}`);
    process.kill(identity.pid, "SIGTERM");
  }

  /** Finds the last task of a machine. */
  find(machine: string): MachineTask | undefined {
    const record = this.#read(machine);
    if (record === undefined) return undefined;
    const { action, by, began, process: identity, status } = record;
    return { action, by, began, status, isRunning: this.#own.has(machine) || (identity !== undefined && isRunning(identity)), text: this.#readText(machine) }; // prettier-ignore
  }

  #readText(machine: string): string {
    try {
      return readFileSync(this.#fileOf(machine, "log"), "utf8").trim().slice(-SHOWN);
    } catch {
      return "";
    }
  }

  #read(machine: string): TaskRecord | undefined {
    try {
      return JSON.parse(readFileSync(this.#fileOf(machine, "json"), "utf8")) as TaskRecord;
    } catch {
      return undefined;
    }
  }

  #write(machine: string, record: TaskRecord): void {
    try {
      writeWhole(this.#fileOf(machine, "json"), JSON.stringify(record));
    } catch {
      // The lab is gone, or its disk is full: the process does its work all the same.
      rmSync(this.#fileOf(machine, "json"), { force: true });
    }
  }

  #fileOf(machine: string, ending: string): string {
    return join(this.#folder, `${encodeURIComponent(machine).replaceAll(".", "%2E")}.${ending}`);
  }
}
