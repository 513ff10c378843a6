import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { CallFrame } from "rebox/trusted";
import type { SyscallOptions, SyscallResult } from "./engine/syscalls";

const SETTINGS = {
  most_bytes: z
    .int()
    .min(0)
    .default(64 << 20)
    .describe("How large syscalls.log may become, half of it for the target alone; 0: only counts."),
  processes: z
    .enum(["target", "new", "all"])
    .default("target")
    .describe(
      "target: the target's processes and those that act for it, all others cost the guest nothing; new: all processes that begin " +
        "during the analysis; all: also those that were there before.",
    ),
  calls: z
    .array(z.string())
    .default([])
    .describe("The only calls that are recorded, by the kernel's names; all without it. All are counted."),
  most_acts: z
    .int()
    .min(0)
    .default(10_000)
    .describe(
      "How many acts (files written, renamed, removed; connections) become events: of the target, and again of others.",
    ),
  most_stacks: z
    .int()
    .min(0)
    .max(100_000)
    .default(100)
    .describe(
      "How many acts of the target have the functions be told that led to them, each place in the program once; 0: none.",
    ),
};

/** A value that the engine reports: an act, or that no more are told. */
interface ToldAct {
  readonly act: string;
  /** The functions that led to it: the innermost first. */
  readonly stack?: readonly CallFrame[];
}

/** The functions that led to an act, as stacks.json has them. */
interface StackRecord {
  /** ISO 8601, UTC: that of the act's event. */
  readonly time: string;
  readonly type: string;
  /** The facts of the act. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly frames: readonly CallFrame[];
}

/** Records the system calls of the guest's processes, into syscalls.log, counts them, into syscalls.json, and tells what led to acts, into stacks.json. */
export default class Syscalls extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Records system calls, and tells which files and connections they made; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly isUsual = true;

  private observation: GuestObservation | undefined;
  private readonly stacks: StackRecord[] = [];

  override async machineStarted(): Promise<void> {
    const { most_bytes: mostBytes, processes, calls, most_acts: mostActs, most_stacks: mostStacks } = this.options;
    const file = join(this.run.folder, "syscalls.log");
    const options: SyscallOptions = { file, mostBytes, whose: processes, calls: [...calls], mostActs, mostStacks };
    // Of Windows acts are told, and calls are neither recorded nor counted.
    const source = this.machine.platform === "windows" ? "engine/windows-acts.ts" : "engine/syscalls.ts";
    this.observation = await this.observe(source, options, (event) => this.tell(event as ToldAct));
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    const { processes, recorded, cut } = (await this.observation.end()) as SyscallResult;
    const { most_bytes: most } = this.options;
    const { lost } = this.observation;
    if (cut > 0 && most > 0) this.log.warn(`${cut} calls more than fit into ${most} bytes (most_bytes)`);
    if (lost > 0) this.log.warn(`${lost} acts came too fast to be told`);
    const all = { processes, recorded, cut };
    writeFileSync(join(this.run.folder, "syscalls.json"), `${JSON.stringify(all, undefined, 1)}\n`);
    const stacks = { stacks: this.stacks };
    writeFileSync(join(this.run.folder, "stacks.json"), `${JSON.stringify(stacks, undefined, 1)}\n`);
  }

  private tell({ act, stack, ...facts }: ToldAct): void {
    if (stack !== undefined) this.stacks.push({ time: this.getTime(), type: act, facts, frames: stack });
    if (act === "full") {
      const of = (facts as { readonly whose?: string }).whose === "target" ? "of the target" : "of the system";
      this.log.warn(`${this.options.most_acts} acts ${of} are told, and no more (most_acts)`);
    } else this.run.addEvent(act, facts);
  }
}
