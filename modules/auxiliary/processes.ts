import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { ProcessEvent, ProcessOptions, ProgramEvent } from "./engine/processes";

const SETTINGS = {
  most: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe("How many processes are reported, of the target and again of the system; of more only their number."),
  most_program_bytes: z
    .int()
    .min(0)
    .default(64 << 20)
    .describe("The largest program of the target's processes that is hashed."),
};

/** The guest is read no more at the end of this. */
const NOT_READ = "the guest was gone before it was read";

/** A process as processes.json has it; times are ISO 8601, UTC. */
interface ProcessRecord {
  readonly pid: number;
  readonly ppid: number | undefined;
  /** Whose it is, when it is the target's, or acts for it. */
  origin?: "target" | "adopted";
  name: string;
  commandLine?: string | undefined;
  executable?: string | undefined;
  /** Its number in programs.json. */
  program?: number | undefined;
  readonly began: string;
  ended?: string;
}

/**
 * Tells each process that begins and ends in the guest, and writes all of them into processes.json, and what the target's have
 * executed into programs.json.
 */
export default class Processes extends Auxiliary<typeof SETTINGS> {
  static override readonly description = "Tells which processes began and ended; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly isUsual = true;

  /** Before all that depend on who runs. */
  override startPriority = 10;

  /** Programs are read from the disk until then. */
  override get stopLimitMs(): number {
    return 60_000;
  }

  private readonly records: ProcessRecord[] = [];
  private readonly living = new Map<number, ProcessRecord>();
  private readonly programs = new Map<number, Omit<ProgramEvent, "what">>();
  private leftOut = 0;
  /** The number of records of the system's processes: those of the target never make way for them. */
  private ofSystem = 0;
  /** Of those that are left out, the ones that live. */
  private readonly unnamed = new Set<number>();
  private observation: GuestObservation | undefined;

  override async machineStarted(): Promise<void> {
    const options: ProcessOptions = { mostProgramBytes: this.options.most_program_bytes };
    const isWindows = this.machine.platform === "windows";
    const file = isWindows ? "engine/windows-processes.ts" : "engine/processes.ts";
    this.observation = await this.observe(file, options, (event) => {
      const told = event as ProcessEvent | ProgramEvent;
      if (told.what === "program") this.addProgram(told);
      else this.add(told);
    });
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    let before: unknown = [];
    try {
      ({ before } = (await this.observation.end()) as { before: unknown });
    } finally {
      const { lost } = this.observation;
      if (this.leftOut > 0) this.log.warn(`${this.leftOut} processes more have begun than are told of (most)`);
      if (lost > 0) this.log.warn(`${lost} beginnings and ends of processes came too fast to be told`);
      const all = { processes: this.records, before, leftOut: this.leftOut, lost };
      this.write("processes.json", all);
      const known = [...this.programs.values()].toSorted((one, other) => one.program - other.program);
      const programs = known.map((each) => (each.sha256 ?? each.left) === undefined ? { ...each, left: NOT_READ } : each); // prettier-ignore
      this.write("programs.json", { programs });
    }
  }

  private write(name: string, content: object): void {
    writeFileSync(join(this.run.folder, name), `${JSON.stringify(content, undefined, 1)}\n`);
  }

  private addProgram({ what: _what, ...program }: ProgramEvent): void {
    this.programs.set(program.program, program);
  }

  private add({ what, pid, name, ppid, commandLine, executable, program, isChanged, origin }: ProcessEvent): void {
    const time = this.getTime();
    if (what === "restarted") return this.restart(time);
    const known = this.living.get(pid);
    const mark = origin === undefined ? {} : { origin };
    const change = isChanged === undefined ? {} : { isChanged };
    // The kernel's own thread that becomes a program, and one whose beginning was not noted.
    if (what === "runs" && known === undefined && !this.unnamed.has(pid)) {
      this.add({ what: "begins", pid, name, ppid, ...mark });
      const runs = { what, pid, name, commandLine, executable, program, ...change, ...mark } as ProcessEvent;
      if (this.living.has(pid)) this.add(runs);
      return;
    }
    if (what === "begins") {
      // A process that executes another program keeps its number, and is no new one.
      if (known === undefined) {
        const isOfTarget = origin !== undefined;
        const count = isOfTarget ? this.records.length - this.ofSystem : this.ofSystem;
        if (count >= this.options.most) return this.leaveOut(pid);
        if (!isOfTarget) this.ofSystem++;
        this.begin({ pid, ppid, ...mark, name, began: time });
      } else {
        Object.assign(known, { name, ...mark });
      }
      this.run.addEvent("process.created", { pid, ppid, name, ...mark });
      void this.notify("addPid", pid, name);
    } else if (known === undefined) {
      if (what === "ends") this.unnamed.delete(pid);
    } else {
      known.name = name;
      if (what === "runs") {
        Object.assign(known, { commandLine, executable, program, ...mark });
        this.run.addEvent("process.executed", { pid, name, commandLine, executable, program, ...change, ...mark });
      } else {
        known.ended = time;
        this.living.delete(pid);
        this.run.addEvent("process.ended", { pid, name });
        void this.notify("delPid", pid, name);
      }
    }
  }

  /** The guest has started again: no process is left. */
  private restart(time: string): void {
    for (const record of this.living.values()) record.ended = time;
    this.living.clear();
    this.unnamed.clear();
  }

  private leaveOut(pid: number): void {
    if (!this.unnamed.has(pid)) this.leftOut++;
    this.unnamed.add(pid);
  }

  private begin(record: ProcessRecord): void {
    this.records.push(record);
    this.living.set(record.pid, record);
  }
}
