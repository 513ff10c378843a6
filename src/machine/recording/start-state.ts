import { constants, copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadAddon } from "../engine/load-addon";
import { EngineUsageError, RecordingError } from "../errors";
import { type FileFacts, readFileFacts } from "./file-facts";
import type { RecordedDisk } from "./recorded-drives";

/** The golden state that a recording begins from. */
export interface StartState {
  /** The folder that the arguments name its disk in, absolute. */
  readonly golden: string;
  /** In bytes. */
  readonly ramSize: number;
  /** The rate of the ticks that the guest's kernel has measured, in thousands a second. */
  readonly ticksKhz: number;
}

/** Of the manifest of a golden state: GoldenManifest of src/lab/machinery/golden. */
interface GoldenFacts {
  readonly files: readonly FileFacts[];
  /** Undefined in one that was made before rebox has noted it. */
  readonly ticksKhz?: unknown;
}

/** Below the folder of a recording: the golden state that it begins from. Its files are those of the lab, under a second name. */
export const KEPT_START = "start";
/** The parts of a golden state, by their names in its folder. */
const [RAM, DEVICES, DISK] = ["ram", "devices", "disk.qcow2"];
const MANIFEST = "golden.json";
/** The RAM among QEMU's objects. The state names it so, too: GoldenFiles of src/lab/machinery/golden. */
const RAM_OBJECT = "rebox-ram";

/**
 * Measures how fast this host's processor counts its ticks, in thousands a second: a guest that boots here goes by that. Takes some
 * milliseconds, and loads the engine.
 *
 * @returns undefined where the engine cannot be loaded
 */
export function measureTicksKhz(): number | undefined {
  try {
    return loadAddon().hostTicksKhz();
  } catch (error) {
    if (error instanceof EngineUsageError) return undefined;
    throw error;
  }
}

/**
 * Keeps a golden state in the folder of a recording that begins from it: its files get a second name there, so that the recording can
 * be replayed when the state has been replaced.
 *
 * @param golden the folder of the state
 * @returns the state, and its files by their paths in the folder of the recording
 * @throws RecordingError for a folder that has none, and when it cannot be kept
 */
export async function keepStartState(
  golden: string,
  folder: string,
): Promise<{ readonly start: StartState; readonly files: readonly FileFacts[] }> {
  const facts = readFacts(golden);
  const hashes = new Map(facts.files.map((file) => [file.path, file]));
  mkdirSync(join(folder, KEPT_START), { mode: 0o700 });
  const files: FileFacts[] = [];
  for (const name of [RAM, DEVICES, DISK].filter((part) => part !== DISK || existsSync(join(golden, DISK)))) {
    const [source, kept] = [join(golden, name), join(KEPT_START, name)];
    try {
      share(source, join(folder, kept));
    } catch (error) {
      throw new RecordingError(`the golden state in ${golden} cannot be kept: ${(error as Error).message}`);
    }
    files.push({ ...(await readFileOfState(name, join(folder, kept), hashes)), path: kept });
  }
  const start = {
    golden: resolve(golden),
    ramSize: statSync(join(folder, KEPT_START, RAM)).size,
    // Where it is not known, the state was most likely made on this host.
    ticksKhz: isRate(facts.ticksKhz) ? facts.ticksKhz : loadAddon().hostTicksKhz(),
  };
  return { start, files };
}

/** Has the engine begin with the state that is kept in the folder of a recording. @returns QEMU's arguments for its RAM */
export function beginFromState(folder: string, { ramSize, ticksKhz }: StartState): string[] {
  loadAddon().startFrom(resolve(folder, KEPT_START, DEVICES), ticksKhz);
  const ram = resolve(folder, KEPT_START, RAM).replaceAll(",", ",,");
  return [
    ...["-object", `memory-backend-file,id=${RAM_OBJECT},size=${ramSize},mem-path=${ram},share=off`],
    ...["-machine", `memory-backend=${RAM_OBJECT}`],
  ];
}

/**
 * Finds where a machine's disks are: that of its golden state is kept with the recording.
 *
 * @throws RecordingError when the state has a disk and the machine has not
 */
export function findKeptDisks(
  disks: readonly RecordedDisk[],
  folder: string,
  { golden }: StartState,
): readonly RecordedDisk[] {
  const [original, kept] = [join(golden, DISK), resolve(folder, KEPT_START, DISK)];
  if (existsSync(kept) && !disks.some(({ path }) => path === original)) {
    throw new RecordingError(
      `no drive of the machine has the disk of its golden state; add -drive file=${original} as the machine had it when the state was made`,
    );
  }
  return disks.map((disk) => (disk.path === original ? { ...disk, path: kept } : disk));
}

function isRate(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** Reads the rate of a state's ticks, and which content its files had: that of a large one is not read once more. */
function readFacts(golden: string): GoldenFacts {
  const path = join(golden, MANIFEST);
  try {
    const facts = JSON.parse(readFileSync(path, "utf8")) as GoldenFacts;
    if (!Array.isArray(facts?.files)) throw new Error(`${MANIFEST} lists no files`);
    return facts;
  } catch (error) {
    throw new RecordingError(
      `${resolve(golden)} is no golden state: ${(error as Error).message}; name a folder below golden/ of a lab`,
    );
  }
}

async function readFileOfState(name: string, path: string, hashes: ReadonlyMap<string, FileFacts>): Promise<FileFacts> {
  const { size, mtimeNs } = statSync(path, { bigint: true });
  const known = hashes.get(name);
  const role = `${name} of the golden state`;
  if (known?.size !== Number(size) || known.changedNs !== String(mtimeNs)) return readFileFacts(role, path);
  return { role, path, size: known.size, changedNs: known.changedNs, sha256: known.sha256 };
}

/** Gives a file a second name; on another file system, a copy with the same time. */
function share(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch (error) {
    if (!["EXDEV", "EMLINK", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    copyFileSync(source, target, constants.COPYFILE_FICLONE);
    const { atime, mtime } = statSync(source);
    utimesSync(target, atime, mtime);
  }
}
