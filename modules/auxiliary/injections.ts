import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { InjectionEvent, InjectionOptions, InjectionResult } from "./engine/injections";

const SETTINGS = {
  processes: z
    .enum(["target", "all"])
    .default("target")
    .describe("target: where one of the two processes is the target's; all: of the whole system."),
  most_bytes: z
    .int()
    .min(0)
    .default(64 << 20)
    .describe("How much of what is written is kept, in bytes."),
  most_events: z.int().min(0).default(1000).describe("How many acts are recorded."),
};

/** Records processes that change others, into injections.jsonl, and what they write there, into injections/. */
export default class Injections extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Records processes that change others, and keeps what they write there; rebox's machines only, Linux.";
  static override readonly settings = SETTINGS;
  static override readonly platforms = ["linux"];

  private observation: GuestObservation | undefined;

  override async machineStarted(): Promise<void> {
    const { processes, most_bytes: mostBytes, most_events: mostEvents } = this.options;
    const options: InjectionOptions = {
      file: join(this.run.folder, "injections.jsonl"),
      folder: join(this.run.folder, "injections"),
      ...{ isOfAll: processes === "all", mostBytes, mostEvents },
    };
    this.observation = await this.observe("engine/injections.ts", { ...options }, (event) => {
      const { kind, ...facts } = event as InjectionEvent;
      this.run.addEvent(`injection.${kind}`, { ...facts });
    });
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    const { acts, left } = (await this.observation.end()) as InjectionResult;
    const { most_events: most } = this.options;
    if (acts > most) this.log.warn(`${acts - most} acts more than ${most} (most_events)`);
    if (left > 0) this.log.warn(`what ${left} of them have written is not kept (most_bytes)`);
  }
}
