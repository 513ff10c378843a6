import { join } from "node:path";
import { Auxiliary, z } from "rebox/lab";

const SUFFIXES = { elf: "core", raw: "raw", lime: "lime" } as const;

const SETTINGS = {
  format: z
    .enum(["elf", "raw", "lime"])
    .default("elf")
    .describe("elf: with registers, as QEMU and crash know it; raw; lime, as Volatility knows it."),
  compressed: z.boolean().default(false).describe("With zstd; rebox alone reads that as it is."),
  when: z
    .enum(["always", "asked"])
    .default("always")
    .describe("asked: only for an analysis with the option memory_dump=yes."),
  most_seconds: z.int().min(1).max(86_400).default(300).describe("How long it may take."),
};

/** Dumps the guest's memory at the end of the analysis, while it stands still, into memory.core. */
export default class Memory extends Auxiliary<typeof SETTINGS> {
  static override readonly description = "Dumps the guest's memory at the end; rebox's machines only.";
  static override readonly settings = SETTINGS;

  /** Before others let go of what the guest still does. */
  override stopPriority = 10;

  private get isWanted(): boolean {
    const { when } = this.options;
    return when === "always" || /^(1|yes|on|true)$/i.test(this.run.options.memory_dump ?? "");
  }

  override machineStarted(): void {
    if (this.isWanted) this.getGuest();
  }

  override get stopLimitMs(): number {
    return this.options.most_seconds * 1000;
  }

  override async stop(): Promise<void> {
    if (!this.isWanted || this.machine.guest === undefined) return;
    const { format, compressed, most_seconds: limit } = this.options;
    const guest = this.getGuest();
    const file = join(this.run.folder, `memory.${SUFFIXES[format]}${compressed ? ".zst" : ""}`);
    const line = `dump_memory "${file}" --format ${format}${compressed ? " --zstd" : ""}`;
    const dump = (await guest.command(line, AbortSignal.timeout(limit * 1000))) as Record<string, unknown>;
    this.run.addEvent("memory.dumped", { ...dump });
  }
}
