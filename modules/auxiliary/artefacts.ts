import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, describeFiles, type GuestObservation, z } from "rebox/lab";
import type { CallFrame } from "rebox/trusted";
import type { ArtefactEvent, ArtefactOptions } from "./engine/artefacts";

/** Below the folder of the analysis. */
const FOLDER = "artefacts";
const CORE_FOLDER = "cores";
const CODE_FOLDER = "code";

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
  most_cores: z
    .int()
    .min(0)
    .max(10_000)
    .default(20)
    .describe("How many processes of the target have their memory kept, as ELF cores, when they end."),
  most_core_bytes: z
    .int()
    .min(0)
    .default(64 << 20)
    .describe("The largest memory of a process that is kept."),
  most_all_core_bytes: z
    .int()
    .min(0)
    .default(512 << 20)
    .describe("How many bytes of memory are kept in all."),
  most_code: z
    .int()
    .min(0)
    .max(10_000)
    .default(20)
    .describe(
      "How many regions of code that was written at run time are kept, each with a core of its process; 0: none.",
    ),
  most_code_bytes: z
    .int()
    .min(0)
    .default(64 << 20)
    .describe("The largest region, and the largest core of its process, that is kept."),
  most_all_code_bytes: z
    .int()
    .min(0)
    .default(512 << 20)
    .describe("How many bytes of regions and their cores are kept in all."),
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

/** The memory of a process at its end, as artefacts.json has it. */
interface CoreRecord {
  readonly time: string;
  readonly pid: number;
  readonly process: string;
  /** The name of the file in cores/. */
  readonly core?: string;
  /** The functions that the thread which ended it executed: the innermost first. */
  readonly stack?: readonly CallFrame[];
  readonly left?: string;
}

/** Code that was written at run time, as artefacts.json has it. */
interface CodeRecord {
  readonly time: string;
  readonly pid: number;
  readonly process: string;
  readonly layer: number;
  readonly entry: string;
  readonly first: string;
  /** The name of the file in code/, as that of the core. */
  readonly raw?: string;
  readonly core?: string;
  readonly left?: string;
}

/** Keeps the files that the target wrote, as they were when they were closed, executed, removed or replaced, its memory at its end, and the code that it executed after it was written. */
export default class Artefacts extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Keeps the files that the target wrote, its memory at its end, and code that it unpacked; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly platforms = ["linux"];
  static override readonly isUsual = true;

  private readonly records: FileRecord[] = [];
  private readonly cores: CoreRecord[] = [];
  private readonly code: CodeRecord[] = [];
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
      coreFolder: join(this.run.folder, CORE_FOLDER),
      mostCores: settings.most_cores,
      mostCoreBytes: settings.most_core_bytes,
      mostAllCoreBytes: settings.most_all_core_bytes,
      codeFolder: join(this.run.folder, CODE_FOLDER),
      mostCode: settings.most_code,
      mostCodeBytes: settings.most_code_bytes,
      mostAllCodeBytes: settings.most_all_code_bytes,
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
      const all = { files: this.records, cores: this.cores, code: this.code, types, leftOut: this.leftOut, lost };
      writeFileSync(join(this.run.folder, "artefacts.json"), `${JSON.stringify(all, undefined, 1)}\n`);
    }
  }

  private add(event: ArtefactEvent): void {
    if (event.what === "problem") return this.log.warn(event.text);
    if (this.records.length + this.cores.length + this.code.length >= this.options.most_records)
      return void this.leftOut++;
    const time = this.getTime();
    if (event.what === "core") this.addCore(time, event);
    else if (event.what === "code") this.addCode(time, event);
    else this.addFile(time, event);
  }

  private addCore(time: string, { what: _what, ...facts }: ArtefactEvent & { readonly what: "core" }): void {
    this.cores.push({ time, ...facts });
    const { stack: _stack, ...told } = facts;
    this.run.addEvent("artefact.core", told);
  }

  private addCode(time: string, { what: _what, ...facts }: ArtefactEvent & { readonly what: "code" }): void {
    this.code.push({ time, ...facts });
    this.run.addEvent("process.written_code", facts);
  }

  private addFile(time: string, { what: _what, ...facts }: ArtefactEvent & { readonly what: "file" }): void {
    this.records.push({ time, ...facts });
    this.run.addEvent("artefact.file", facts);
  }
}
