import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { DumpEvent, DumpOptions, DumpResult } from "./engine/dumps";

const SETTINGS = {
  when: z
    .array(z.string().regex(/^(exit|written|call=[^!]+![^!]+)$/))
    .default(["exit"])
    .describe("When: exit; written, when code is executed that was written; call=MODULE!FUNCTION."),
  modules: z
    .array(z.string())
    .default([])
    .describe("Names of modules, with * and ?, beside those in memory without a file; the program alone without any."),
  most_files: z.int().min(0).default(200).describe("How many files are written."),
};

/** Writes the target's programs and libraries as they are in memory, into dumps/. */
export default class Dumps extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Writes programs and libraries of the target as they are in memory into files that tools open; rebox's machines only, Linux.";
  static override readonly settings = SETTINGS;
  static override readonly platforms = ["linux"];

  private observation: GuestObservation | undefined;

  override async machineStarted(): Promise<void> {
    const { when, modules, most_files: mostFiles } = this.options;
    const folder = join(this.run.folder, "dumps");
    const options: DumpOptions = { folder, occasions: [...when], modules: [...modules], mostFiles };
    this.observation = await this.observe("engine/dumps.ts", { ...options }, (event) => {
      this.run.addEvent("memory.module_dumped", { ...(event as DumpEvent) });
    });
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    const { files, more } = (await this.observation.end()) as DumpResult;
    this.log.info(`${files} files are in dumps/`);
    if (more > 0) this.log.warn(`${more} dumps more than ${this.options.most_files} files (most_files)`);
  }
}
