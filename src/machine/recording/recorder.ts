import { realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { getBuiltFolder, getReboxVersion } from "../../config/folders";
import { loadAddon } from "../engine/load-addon";
import { createDisks, readImageFacts } from "./disk-images";
import { type FileFacts, readFileFacts } from "./file-facts";
import { type Manifest, MANIFEST_FORMAT, sumParts, writeManifest } from "./manifest";
import { getLogPath, type MachinePlan, planMachine } from "./recorded-machine";
import { makeRecordingFolder, type MadeFolder } from "./recording-folder";
import { beginFromState, findKeptDisks, keepStartState } from "./start-state";

const DISK_ROLE = "disk";

/** Reads what the library is like that has QEMU in it. */
export function readEngineFacts(): Promise<FileFacts> {
  const suffix = process.env["REBOX_BUILD"] === "asan" ? "-asan" : "";
  const library = join(getBuiltFolder("qemu", undefined, suffix), "libqemu-system-x86_64.so");
  return readFileFacts("the engine", realpathSync(library));
}

/** A recording in which there is nothing of the guest yet. */
export interface PreparedRecording {
  /** QEMU's arguments that record the machine. */
  readonly args: readonly string[];
  /** The folder that was made for it. */
  readonly made: MadeFolder;
}

/**
 * Prepares a recording: makes its folder, with a manifest, and overlays for the disks that the guest may write. Where it cannot, nothing
 * of that is left.
 *
 * @param folder a new or empty one
 * @param args QEMU's arguments for the machine
 * @param golden the folder of the golden state that it begins from; undefined: it is switched on
 * @throws RecordingError for a folder that is in use, and for what cannot be recorded
 */
export async function prepareRecording(
  folder: string,
  args: readonly string[],
  golden?: string,
): Promise<PreparedRecording> {
  const plan = planMachine(args, { cwd: process.cwd(), log: resolve(getLogPath(folder)), isReplay: false });
  const made = makeRecordingFolder(folder);
  try {
    return { args: await fillFolder(folder, args, plan, golden), made };
  } catch (error) {
    made.remove();
    throw error;
  }
}

async function fillFolder(
  folder: string,
  args: readonly string[],
  plan: MachinePlan,
  golden: string | undefined,
): Promise<string[]> {
  const cwd = process.cwd();
  const kept = golden === undefined ? undefined : await keepStartState(golden, folder);
  const disks = kept ? findKeptDisks(plan.disks, folder, kept.start) : plan.disks;
  const images = await Promise.all(disks.map((disk) => readImageFacts(disk)));
  const files: FileFacts[] = [...(kept?.files ?? [])];
  const isKept = (path: string) => files.some((file) => resolve(folder, file.path) === path);
  for (const { role, path } of plan.files) files.push(await readFileFacts(role, path));
  const paths = new Set(images.flatMap((image) => image.files));
  for (const path of paths) if (!isKept(path)) files.push(await readFileFacts(DISK_ROLE, path));
  const diskFormats = images.map(({ format }) => format);
  const parts = { args, cwd, files, diskFormats, ...(kept && { start: kept.start }) };
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    rebox: getReboxVersion(),
    qemu: loadAddon().qemuVersion,
    engine: await readEngineFacts(),
    ...parts,
    sum: sumParts(parts),
  };
  writeManifest(folder, manifest);
  const ram = kept ? beginFromState(folder, kept.start) : [];
  return [...(await createDisks(disks, diskFormats, resolve(folder))), ...plan.args, ...ram];
}
