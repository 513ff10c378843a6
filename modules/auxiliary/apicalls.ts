import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, type GuestObservation, z } from "rebox/lab";
import type { ApiCallOptions, ApiCallResult } from "./engine/apicalls";

const SETTINGS = {
  functions: z
    .array(z.string())
    .default([])
    .describe(
      "Which functions: module!function, or a function of the C library, with * and ?; without it all of the C library that are known.",
    ),
  processes: z
    .enum(["new", "all"])
    .default("new")
    .describe("new: processes that begin during the analysis; all: also those that were there before."),
  inside: z.boolean().default(false).describe("Also calls from inside of the library itself."),
  most_bytes: z
    .int()
    .min(0)
    .default(64 << 20)
    .describe("How large apicalls.log may become, half of it for the target alone; 0: only counts."),
};

/** Records calls of functions of libraries, into apicalls.log, and counts them, into apicalls.json. */
export default class ApiCalls extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Records calls of library functions with arguments and results; rebox's machines only, Linux.";
  static override readonly settings = SETTINGS;
  static override readonly platforms = ["linux"];

  private observation: GuestObservation | undefined;

  override async machineStarted(): Promise<void> {
    const { functions, processes, inside, most_bytes: mostBytes } = this.options;
    const file = join(this.run.folder, "apicalls.log");
    const isOfAll = processes === "all";
    const options: ApiCallOptions = { file, functions: [...functions], isOfAll, isInside: inside, mostBytes };
    this.observation = await this.observe("engine/apicalls.ts", options, () => undefined);
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    const result = (await this.observation.end()) as ApiCallResult;
    const { most_bytes: most } = this.options;
    if (result.cut > 0 && most > 0) this.log.warn(`${result.cut} calls more than fit into ${most} bytes (most_bytes)`);
    writeFileSync(join(this.run.folder, "apicalls.json"), `${JSON.stringify(result, undefined, 1)}\n`);
  }
}
