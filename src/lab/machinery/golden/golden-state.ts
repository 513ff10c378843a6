import { constants, copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { hashFile } from "../../../config/host-files";
import { GoldenStateError, MachineryManagerError } from "../../errors";

/** A name for a golden state: it becomes a folder. */
export const GOLDEN_NAME = /^[A-Za-z0-9_][\w.-]{0,63}$/;

/** The name of a golden state that was given none. */
export const DEFAULT_GOLDEN_NAME = "ready";

const FORMAT = 1;
const MANIFEST = "golden.json";

/** A file as it was: enough to notice that it is another by now, without reading it. */
export interface FileIdentity {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** The last change, in nanoseconds since 1970, as text: it has more digits than a number. */
  readonly changedNs: string;
}

/** Everything that a start from the state needs to be the same. */
export interface GoldenOrigin {
  /** The QEMU, by its version and what was built into it. */
  readonly qemu: string;
  /** QEMU's arguments, with placeholders for what is another in each run. */
  readonly args: readonly string[];
  /** The files that those name: disk, kernel, initrd. */
  readonly inputs: readonly FileIdentity[];
}

/** The content of one file of a state. */
export interface GoldenFile extends FileIdentity {
  readonly sha256: string;
}

/** The description of a golden state. */
export interface GoldenManifest {
  readonly format: typeof FORMAT;
  readonly machine: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** The size of the guest's RAM, in bytes. */
  readonly ramSize: number;
  readonly origin: GoldenOrigin;
  readonly files: readonly GoldenFile[];
  /** The way in that answered: "console", "guest-agent", "agent". */
  readonly wayIn: string;
  /** The changes of the system before it was frozen, one line each. */
  readonly changes: readonly string[];
  /** The rate of the processor's ticks where the guest was booted, in thousands a second, by which its kernel has set its clock. */
  readonly ticksKhz?: number;
}

/** Where the parts of a golden state lie. */
export class GoldenFiles {
  /** @param folder of the state, absolute */
  constructor(readonly folder: string) {}

  /** The guest's RAM, byte by byte. */
  get ram(): string {
    return join(this.folder, "ram");
  }

  /** The registers of processors and devices: a migration stream of QEMU without RAM. */
  get devices(): string {
    return join(this.folder, "devices");
  }

  /** The disk: an overlay over the machine's own. A machine without a disk has none. */
  get disk(): string {
    return join(this.folder, "disk.qcow2");
  }

  get manifest(): string {
    return join(this.folder, MANIFEST);
  }

  /** The devices of the state that this one is made from, while it is made; a state that begins with a boot has none. */
  get start(): string {
    return join(this.folder, "start");
  }

  /** Copies a state, to be changed and frozen anew. The copy needs nothing of it. */
  copyFrom({ files }: GoldenState): void {
    const copy = (from: string, to: string) => copyFileSync(from, to, constants.COPYFILE_FICLONE);
    copy(files.ram, this.ram);
    copy(files.devices, this.start);
    if (existsSync(files.disk)) copy(files.disk, this.disk);
  }
}

/** A machine's RAM, devices and disk as they were at one moment, from which any number of machines start. */
export class GoldenState {
  readonly files: GoldenFiles;

  private constructor(
    readonly folder: string,
    readonly manifest: GoldenManifest,
  ) {
    this.files = new GoldenFiles(folder);
  }

  get name(): string {
    return this.manifest.name;
  }

  /** @throws GoldenStateError when the manifest is missing, damaged, or of another version of rebox */
  static read(folder: string): GoldenState {
    const { manifest: path } = new GoldenFiles(folder);
    let manifest: GoldenManifest;
    try {
      manifest = JSON.parse(readFileSync(path, "utf8")) as GoldenManifest;
    } catch (error) {
      throw new GoldenStateError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (manifest?.format !== FORMAT || !Array.isArray(manifest.files) || !Array.isArray(manifest.origin?.args)) {
      throw new GoldenStateError(`${path} is of another version of rebox (format ${String(manifest?.format)})`);
    }
    return new GoldenState(folder, manifest);
  }

  /** Lists what is no longer as it was when the state was frozen, a sentence each. Unchanged files are not read. */
  async findDamage(): Promise<string[]> {
    const found: string[] = [];
    for (const file of this.manifest.files) found.push(...(await this.#checkFile(file)));
    return found;
  }

  /** Reads every file, and lists those whose content is another, a sentence each. */
  async verify(): Promise<string[]> {
    const found = await Promise.all(
      this.manifest.files.map(async (file) => {
        const path = join(this.folder, file.path);
        if (!existsSync(path)) return [`${path} is missing`];
        return (await hashFile(path)) === file.sha256 ? [] : [`the content of ${path} has changed`];
      }),
    );
    return found.flat();
  }

  async #checkFile(file: GoldenFile): Promise<string[]> {
    const path = join(this.folder, file.path);
    const now = findIdentity(path);
    if (now === undefined) return [`${path} is missing`];
    if (now.size !== file.size) return [`${path} has ${now.size} bytes; it had ${file.size}`];
    // A copied lab has other times; what counts is the content.
    if (now.changedNs === file.changedNs || (await hashFile(path)) === file.sha256) return [];
    return [`the content of ${path} has changed`];
  }
}

/** Lists what differs between how a state was made and how a machine would start now, a sentence each. */
export function compareOrigins(made: GoldenOrigin, now: GoldenOrigin): string[] {
  const found: string[] = [];
  if (made.qemu !== now.qemu) found.push(`it was made by ${made.qemu}; now there is ${now.qemu}`);
  if (made.args.join("\0") !== now.args.join("\0")) {
    const index = now.args.findIndex((arg, at) => arg !== made.args[at]);
    const at = index === -1 ? now.args.length : index;
    const [was, is] = [made.args[at] ?? "nothing", now.args[at] ?? "nothing"];
    found.push(`the machine's arguments have changed: "${was}" is now "${is}"`);
  }
  for (const file of made.inputs) {
    const current = now.inputs.find(({ path }) => path === file.path);
    if (current === undefined) found.push(`${file.path} is missing`);
    else if (current.size !== file.size || current.changedNs !== file.changedNs) found.push(`${file.path} has changed`);
  }
  return found;
}

/** Returns what a file is by now; undefined when it is not there. */
export function findIdentity(path: string): FileIdentity | undefined {
  const facts = statSync(path, { bigint: true, throwIfNoEntry: false });
  return facts && { path, size: Number(facts.size), changedNs: String(facts.mtimeNs) };
}

/** Returns the folder of a machine's golden states. */
export function getGoldenFolder(labFolder: string, machine: string): string {
  return join(labFolder, "golden", machine);
}

/** Lists the golden states of a machine by age, the newest first. Folders that are none are named in `problems`. */
export function listGoldenStates(labFolder: string, machine: string): { states: GoldenState[]; problems: string[] } {
  const folder = getGoldenFolder(labFolder, machine);
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => GOLDEN_NAME.test(name)) : [];
  const states: GoldenState[] = [];
  const problems: string[] = [];
  for (const name of names) {
    try {
      states.push(GoldenState.read(join(folder, name)));
    } catch (error) {
      if (!(error instanceof GoldenStateError)) throw error;
      problems.push(error.message);
    }
  }
  states.sort((a, b) => b.manifest.createdMs - a.manifest.createdMs);
  return { states, problems };
}

/** Gets a golden state by its name. @throws MachineryManagerError that names those that there are */
export function getGoldenState(labFolder: string, machine: string, name: string): GoldenState {
  const { states, problems } = listGoldenStates(labFolder, machine);
  const found = states.find((state) => state.name === name);
  if (found !== undefined) return found;
  const known = states.map((state) => state.name).join(", ") || "none";
  const advice = `make one: rebox machine prepare ${machine} --as ${name}`;
  throw new MachineryManagerError(
    [`${machine} has no golden state ${name}; there is ${known}; ${advice}`, ...problems].join("\n"),
  );
}

/** Removes a golden state. Machines that have started from it continue: the system keeps their files until they end. */
export function removeGoldenState(state: GoldenState): void {
  // Without its manifest it is no state any more, should the rest not go in one piece.
  rmSync(state.files.manifest, { force: true });
  rmSync(state.folder, { recursive: true, force: true });
}
