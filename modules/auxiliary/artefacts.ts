import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, describeFiles, type GuestObservation, z } from "rebox/lab";
import type { ArtefactEvent, ArtefactOptions } from "./engine/artefacts";

/** Below the folder of the analysis. */
const FOLDER = "artefacts";

const SETTINGS = {
  most_file_bytes: z
    .int()
    .min(0)
    .max(1 << 30)
    .default(32 << 20)
    .describe("The largest file that is kept."),
  most_files: z.int().min(0).max(1_000_000).default(1000).describe("How many different contents are kept."),
  most_bytes: z
    .int()
    .min(0)
    .default(256 << 20)
    .describe("How many bytes are kept in all."),
  most_versions: z
    .int()
    .min(1)
    .max(10_000)
    .default(10)
    .describe("How many contents of one file are kept as it is closed; the last one in any case."),
  most_records: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe("How many moments of files are told; of more only their number."),
};

/** A file of the target at one moment, as artefacts.json has it. */
interface FileRecord {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly moment: string;
  readonly path: string;
  readonly pid: number;
  readonly process: string;
  readonly size: number;
  readonly sha256?: string;
  /** Why the content was left out. */
  readonly left?: string;
  readonly missing?: number;
}

/** Keeps the files that the target wrote, as they were when they were closed, executed, removed or replaced. */
export default class Artefacts extends Auxiliary<typeof SETTINGS> {
  static override readonly description = "Keeps the files that the target wrote; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly isUsual = true;

  private readonly records: FileRecord[] = [];
  private leftOut = 0;
  private observation: GuestObservation | undefined;

  override get stopLimitMs(): number {
    return 120_000;
  }

  override async machineStarted(): Promise<void> {
    const settings = this.options;
    const options: ArtefactOptions = {
      folder: join(this.run.folder, FOLDER),
      mostFileBytes: settings.most_file_bytes,
      mostFiles: settings.most_files,
      mostBytes: settings.most_bytes,
      mostVersions: settings.most_versions,
    };
    this.observation = await this.observe("engine/artefacts.ts", options, (event) => this.add(event as ArtefactEvent));
  }

  override async stop(): Promise<void> {
    if (this.observation === undefined) return;
    try {
      await this.observation.end();
    } finally {
      const { lost } = this.observation;
      if (this.leftOut > 0)
        this.log.warn(`${this.leftOut} moments of files more were seen than are told (most_records)`);
      if (lost > 0) this.log.warn(`${lost} moments of files came too fast to be told`);
      const folder = join(this.run.folder, FOLDER);
      const names = new Set(this.records.flatMap(({ sha256 }) => sha256 ?? []));
      const types = await describeFiles(folder, [...names], (text) => this.log.warn(text));
      const all = { files: this.records, types, leftOut: this.leftOut, lost };
      writeFileSync(join(this.run.folder, "artefacts.json"), `${JSON.stringify(all, undefined, 1)}\n`);
    }
  }

  private add(event: ArtefactEvent): void {
    if (event.what === "problem") return this.log.warn(event.text);
    const { what: _what, ...facts } = event;
    if (this.records.length >= this.options.most_records) return void this.leftOut++;
    this.records.push({ time: this.getTime(), ...facts });
    this.run.addEvent("artefact.file", facts);
  }
}
