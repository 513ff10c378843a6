import { join } from "node:path";
import { Auxiliary, AuxiliaryDisabled, type GuestObservation, z } from "rebox/lab";
import type { MemorySearchEvent, MemorySearchOptions, MemorySearchResult } from "./engine/memorysearch";

const SETTINGS = {
  search: z
    .string()
    .default("keys")
    .describe(
      'What is looked for, as in memory_search: text="a b", regex=[0-9]{16}, bytes=de??beef, keys, ignorecase.',
    ),
  processes: z
    .enum(["target", "all"])
    .default("target")
    .describe("target: what the target's processes read and write; all: the whole system, several times slower."),
  most: z.int().min(1).max(1000).default(3).describe("How often the same is recorded of a place of code."),
  most_events: z.int().min(0).default(1000).describe("How many matches become events."),
};

/** Records bytes that pass through memory and the code that moves them, into memorysearch.jsonl. */
export default class MemorySearch extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Records texts, patterns and AES keys that pass through memory, with the code that moves them; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly platforms = ["linux"];

  private observation: GuestObservation | undefined;

  override async machineStarted(): Promise<void> {
    const { search, processes, most, most_events: mostEvents } = this.options;
    if (search.trim() === "") throw new AuxiliaryDisabled("[memorysearch] sets no search");
    const file = join(this.run.folder, "memorysearch.jsonl");
    const options: MemorySearchOptions = { file, search, isOfAll: processes === "all", most, mostEvents };
    this.observation = await this.observe("engine/memorysearch.ts", { ...options }, (event) => {
      this.run.addEvent("memory.found", { ...(event as MemorySearchEvent) });
    });
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    const { recorded } = (await this.observation.end()) as MemorySearchResult;
    this.log.info(`${recorded} matches are in memorysearch.jsonl`);
    const { most_events: most } = this.options;
    if (recorded > most) this.log.warn(`${most} matches are events, and no more (most_events)`);
  }
}
