import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
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
};

/** Records the system calls of the guest's processes, into syscalls.log, and counts them, into syscalls.json. */
export default class Syscalls extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Records system calls, and tells which files and connections they made; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly isUsual = true;

  private observation: GuestObservation | undefined;

  override async machineStarted(): Promise<void> {
    const { most_bytes: mostBytes, processes, calls, most_acts: mostActs } = this.options;
    const file = join(this.run.folder, "syscalls.log");
    const options: SyscallOptions = { file, mostBytes, whose: processes, calls: [...calls], mostActs };
    this.observation = await this.observe("engine/syscalls.ts", options, (event) =>
      this.tell(event as { readonly act: string }),
    );
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
  }

  private tell({ act, ...facts }: { readonly act: string }): void {
    if (act === "full") {
      const of = (facts as { readonly whose?: string }).whose === "target" ? "of the target" : "of the system";
      this.log.warn(`${this.options.most_acts} acts ${of} are told, and no more (most_acts)`);
    } else this.run.addEvent(act, facts);
  }
}
