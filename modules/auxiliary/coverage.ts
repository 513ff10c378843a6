import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { CoverageSize } from "../../scripts/_coverage_collector";
import type { CoverageOptions } from "./engine/coverage";

const SETTINGS = {
  edges: z.boolean().default(false).describe("Also from which block to which was gone."),
  when: z
    .enum(["always", "asked"])
    .default("always")
    .describe("asked: only for an analysis with the option coverage=yes."),
};

/** The results of a run with much code take their time to be written, in milliseconds. */
const STOP_LIMIT_MS = 120_000;

/** Collects which code the target's processes have executed, into coverage.drcov. */
export default class Coverage extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Collects which code of programs and libraries the target executed, as drcov; rebox's machines only, Linux.";
  static override readonly settings = SETTINGS;
  static override readonly platforms = ["linux"];

  private observation: GuestObservation | undefined;

  override get stopLimitMs(): number {
    return STOP_LIMIT_MS;
  }

  override async machineStarted(): Promise<void> {
    const { when, edges: hasEdges } = this.options;
    if (when === "asked" && !/^(1|yes|on|true)$/i.test(this.run.options.coverage ?? "")) return;
    const options: CoverageOptions = { file: join(this.run.folder, "coverage.drcov"), hasEdges };
    this.observation = await this.observe("engine/coverage.ts", { ...options }, () => undefined);
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    const { blocks, modules, edges } = (await this.observation.end()) as CoverageSize;
    this.run.addEvent("coverage.written", { file: "coverage.drcov", blocks, modules, edges });
  }
}
