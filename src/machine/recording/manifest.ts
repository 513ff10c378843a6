import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { RecordingError } from "../errors";
import type { FileFacts } from "./file-facts";
import type { StartState } from "./start-state";

/** The parts that a recording was made of. */
export interface Manifest {
  /** Of this file: 1. */
  readonly format: number;
  readonly rebox: string;
  readonly qemu: string;
  /** The library with QEMU in it: another one may execute otherwise. */
  readonly engine: FileFacts;
  /** QEMU's arguments as they were given. */
  readonly args: readonly string[];
  /** In which their relative paths begin. */
  readonly cwd: string;
  /** Everything that the machine was made of. The paths of what is kept with the recording begin in its folder. */
  readonly files: readonly FileFacts[];
  /** The formats of the disks, in their order. */
  readonly diskFormats: readonly string[];
  /** The state that it begins from; undefined: switched on. */
  readonly start?: StartState;
  /** SHA-256 of the last five, by which it is noticed when somebody has changed one. */
  readonly sum: string;
}

/** The part of a manifest that says which machine was recorded. */
export type RecordedParts = Pick<Manifest, "args" | "cwd" | "files" | "diskFormats" | "start">;

/** Sums up which machine was recorded. */
export function sumParts({ args, cwd, files, diskFormats, start }: RecordedParts): string {
  return createHash("sha256")
    .update(JSON.stringify([args, cwd, files, diskFormats, start]))
    .digest("hex");
}

export const MANIFEST_FORMAT = 1;
const NAME = "recording.json";

/** Whether a folder has a manifest. */
export function hasManifest(folder: string): boolean {
  return existsSync(join(folder, NAME));
}

/** Writes the manifest into the folder of a recording. */
export function writeManifest(folder: string, manifest: Manifest): void {
  writeFileSync(join(folder, NAME), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/**
 * Reads the manifest of a recording.
 *
 * @throws RecordingError when the folder has none, or it is of another format or damaged
 */
export function readManifest(folder: string): Manifest {
  let text: string;
  try {
    text = readFileSync(join(folder, NAME), "utf8");
  } catch {
    throw new RecordingError(
      `${resolve(folder)} is no recording: it has no ${NAME}; name the folder that rebox record -o has made`,
    );
  }
  const manifest = parse(text);
  if (manifest?.format !== MANIFEST_FORMAT) {
    throw new RecordingError(
      manifest === undefined
        ? `${NAME} in ${resolve(folder)} is damaged: it is no JSON of a recording`
        : `the recording in ${resolve(folder)} has the format ${String(manifest.format)}; this rebox replays ${MANIFEST_FORMAT}`,
    );
  }
  if (!isWhole(manifest)) throw new RecordingError(`${NAME} in ${resolve(folder)} is damaged: parts of it are missing`);
  return manifest;
}

function parse(text: string): Partial<Manifest> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isWhole(manifest: Partial<Manifest>): manifest is Manifest {
  const isText = (value: unknown) => typeof value === "string";
  const isFile = (value: unknown) => {
    const { role, path, size, changedNs, sha256 } = (value ?? {}) as Partial<FileFacts>;
    return [role, path, changedNs, sha256].every(isText) && typeof size === "number";
  };
  const { rebox, qemu, engine, args, cwd, files, diskFormats, start, sum } = manifest;
  return (
    [rebox, qemu, cwd, sum].every(isText) &&
    isFile(engine) &&
    [args, diskFormats].every((list) => Array.isArray(list) && list.every(isText)) &&
    Array.isArray(files) &&
    files.every(isFile) &&
    (start === undefined || (isText(start.golden) && [start.ramSize, start.ticksKhz].every(Number.isSafeInteger)))
  );
}
