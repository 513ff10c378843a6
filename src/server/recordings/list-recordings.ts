import { existsSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { type Manifest, readManifest } from "../../machine/recording/manifest";
import { NotThereError } from "../errors";

/** The lab's folder of recordings, where rebox record -o recordings/NAME makes one. */
export const RECORDINGS_FOLDER = "recordings";
/** The recording in the folder of an analysis that keeps one. */
const OF_ANALYSIS = "recording";
/** Of an analysis, as its name says; no folder has a name with a colon here. */
const ANALYSIS_NAME = /^analysis:(\d{1,9})$/;
const FOLDER_NAME = /^[\w-][\w.-]{0,99}$/;
const MANIFEST = "recording.json";
/** QEMU's log of what came to the guest. */
const LOG = "log";

/** A recording of a lab. */
export interface LabRecording {
  /** "boot", or "analysis:7". */
  readonly name: string;
  /** Relative to the lab. */
  readonly folder: string;
  /** The number of the analysis that it is of. */
  readonly analysis: number | undefined;
  /** ISO 8601, UTC: when it was begun. */
  readonly made: string;
  /** Of what came to the guest, in bytes. */
  readonly logSize: number;
}

/** A recording with what it was made of. */
export interface DescribedRecording extends LabRecording {
  readonly manifest: Manifest;
}

/**
 * Lists the recordings of a lab, the newest first: those of its folder, and those of analyses.
 *
 * @param analyses the numbers of analyses that may have one
 */
export function listRecordings(labFolder: string, analyses: readonly number[]): LabRecording[] {
  const own = join(labFolder, RECORDINGS_FOLDER);
  const names = existsSync(own) ? readdirSync(own).filter((name) => FOLDER_NAME.test(name)) : [];
  return [...names, ...analyses.map((id) => `analysis:${id}`)]
    .flatMap((name) => findRecording(labFolder, name) ?? [])
    .sort((one, other) => other.made.localeCompare(one.made));
}

/**
 * Describes a recording.
 *
 * @param name "boot", or "analysis:7"; a request has it
 * @throws NotThereError; RecordingError when it is damaged
 */
export function describeRecording(labFolder: string, name: string): DescribedRecording {
  const found = findRecording(labFolder, name);
  if (found === undefined) throw new NotThereError(`there is no recording ${name}`);
  return { ...found, manifest: readManifest(join(labFolder, found.folder)) };
}

function findRecording(labFolder: string, name: string): LabRecording | undefined {
  const [, digits] = ANALYSIS_NAME.exec(name) ?? [];
  if (digits === undefined && !FOLDER_NAME.test(name)) return undefined;
  const path = digits === undefined ? join(labFolder, RECORDINGS_FOLDER, name) : join(getAnalysisFolder(labFolder, Number(digits)), OF_ANALYSIS); // prettier-ignore
  const status = findStatus(join(path, MANIFEST));
  if (status?.isFile() !== true) return undefined;
  return {
    ...{ name, folder: path.slice(labFolder.length + 1), analysis: digits === undefined ? undefined : Number(digits) },
    ...{ made: status.mtime.toISOString(), logSize: findStatus(join(path, LOG))?.size ?? 0 },
  };
}

function findStatus(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
