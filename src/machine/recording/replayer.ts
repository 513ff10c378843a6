import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loadAddon } from "../engine/load-addon";
import type { NativeRecordingFacts } from "../engine/native";
import { RecordingError } from "../errors";
import { createDisks } from "./disk-images";
import { checkFile } from "./file-facts";
import { hasManifest, type Manifest, readManifest, sumParts } from "./manifest";
import { ANALYSIS_RECORDING, getLogPath, planMachine } from "./recorded-machine";
import { setReplayedRecording } from "./recorded-instructions";
import { readEngineFacts } from "./recorder";
import { beginFromState, findKeptDisks } from "./start-state";

/** A recording that is ready to be replayed. */
export interface Replay {
  /** QEMU's arguments. */
  readonly args: readonly string[];
  readonly facts: NativeRecordingFacts;
  /** Removes what the replay has made; it can be called twice. */
  close(): void;
}

export interface ReplayOptions {
  /** The file for the output of the first serial line. */
  readonly console?: string;
  /** How many processes a question about all of it may take. */
  readonly jobs?: number;
  /** Output of the guest to standard output is dropped: something else is written there. */
  readonly isMute?: boolean;
}

/** Finds the recording that a folder is or has: that of an analysis lies within. */
export function findRecording(folder: string): string {
  const inside = join(folder, ANALYSIS_RECORDING);
  return !hasManifest(folder) && hasManifest(inside) ? inside : folder;
}

/**
 * Prepares a replay: checks that everything is as it was recorded, and makes overlays for the disks.
 *
 * @param given the folder of the recording, or of an analysis that has one; nothing is written there
 * @throws RecordingError that names what differs
 */
export async function prepareReplay(
  given: string,
  { console, jobs, isMute = false }: ReplayOptions = {},
): Promise<Replay> {
  const folder = findRecording(given);
  const manifest = readManifest(folder);
  await checkEngine(manifest);
  if (sumParts(manifest) !== manifest.sum) {
    throw new RecordingError(
      `the machine in ${resolve(folder)}/recording.json is not the one that was recorded: its args, cwd, files or diskFormats were changed; ` +
        "put the old ones back, or record anew",
    );
  }
  for (const file of manifest.files) await checkFile({ ...file, path: resolve(folder, file.path) });
  const log = resolve(getLogPath(folder));
  const facts = loadAddon().scanRecording(log);
  if (facts === undefined) {
    throw new RecordingError(`the log ${log} cannot be read: without it there is nothing to replay`);
  }
  if (facts.instructions === 0) {
    throw new RecordingError(`the recording in ${resolve(folder)} was cut off before the guest's first instruction`);
  }
  setReplayedRecording({
    ...{ folder: resolve(folder), instructions: facts.instructions },
    ...(jobs === undefined ? {} : { jobs }),
  });
  const { args, cwd, diskFormats, start } = manifest;
  const plan = planMachine(args, {
    ...{ cwd, log, isReplay: true, isMute },
    ...(console === undefined ? {} : { console: resolve(console) }),
  });
  const overlays = mkdtempSync(join(tmpdir(), "rebox-replay-"));
  const close = () => rmSync(overlays, { recursive: true, force: true });
  try {
    const disks = start ? findKeptDisks(plan.disks, folder, start) : plan.disks;
    const ram = start ? beginFromState(folder, start) : [];
    return { args: [...(await createDisks(disks, diskFormats, overlays)), ...plan.args, ...ram], facts, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function checkEngine({ engine, rebox, qemu }: Manifest): Promise<void> {
  const { qemuVersion } = loadAddon();
  const own = await readEngineFacts();
  if (own.sha256 === engine.sha256) return;
  throw new RecordingError(
    `the recording was made by another engine (rebox ${rebox}, QEMU ${qemu}; this is QEMU ${qemuVersion} in ${own.path}): ` +
      "another one may execute otherwise; replay it with the rebox that recorded it, or record anew",
  );
}
