import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { UsageSample } from "./engine/usage";

const SETTINGS = {
  interval_ms: z.int().min(100).max(3_600_000).default(2000).describe("How often it is measured."),
  most: z
    .int()
    .min(2)
    .max(100_000)
    .default(5000)
    .describe("How many measurements are kept; of more, every other one is left out."),
};

/** Measures what the guest and its engine use over time, into usage.json. */
export default class Usage extends Auxiliary<typeof SETTINGS> {
  static override readonly description = "Measures what guest and engine use, into usage.json; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly isUsual = true;

  private samples: (UsageSample & { readonly time: string })[] = [];
  private observation: GuestObservation | undefined;
  private turn = 0;
  /** Of so many samples, one is kept. */
  private step = 1;

  override async machineStarted(): Promise<void> {
    const options = { intervalMs: this.options.interval_ms };
    this.observation = await this.observe("engine/usage.ts", options, (event) => this.add(event as UsageSample));
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    let total: object = {};
    try {
      total = (await this.observation.end()) as object;
    } finally {
      const all = { ...total, intervalMs: this.options.interval_ms * this.step, samples: this.samples };
      writeFileSync(join(this.run.folder, "usage.json"), `${JSON.stringify(all, undefined, 1)}\n`);
    }
  }

  private add(sample: UsageSample): void {
    if (this.turn++ % this.step !== 0) return;
    this.samples.push({ time: this.getTime(), ...sample });
    if (this.samples.length < this.options.most) return;
    this.samples = this.samples.filter((_, index) => index % 2 === 0);
    this.step *= 2;
  }
}
