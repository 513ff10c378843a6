import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { RecordingError } from "../errors";

/** The files in the folder of a recording before anything of the guest does, or when QEMU has refused the machine. */
const PARTS = /^(recording\.json|log|checks|start|rebox-disk-\d+\.qcow2)$/;

/** The folder of a recording in which there is nothing of the guest yet. */
export interface MadeFolder {
  /** Removes what was made: the folder, with those above it that were made for it; of one that was there before, the parts in it. */
  remove(): void;
}

/**
 * Makes the folder of a recording.
 *
 * @param given a new or empty one
 * @throws RecordingError for one that is in use, or cannot be made
 */
export function makeRecordingFolder(given: string): MadeFolder {
  const folder = resolve(given);
  try {
    if (existsSync(folder) && readdirSync(folder).length > 0) {
      throw new RecordingError(`${folder} is not empty: a recording gets a folder of its own; name another one`);
    }
    // The guest's memory can be made of a recording: only this user may read it.
    const first = mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { remove: () => removeMade(folder, first === undefined ? undefined : resolve(first)) };
  } catch (error) {
    if (error instanceof RecordingError) throw error;
    throw new RecordingError(`the folder ${folder} cannot be made: ${(error as Error).message}`);
  }
}

/** @param first the uppermost folder that was made; undefined: all were there */
function removeMade(folder: string, first: string | undefined): void {
  try {
    if (first === undefined) {
      const parts = readdirSync(folder).filter((name) => PARTS.test(name));
      for (const name of parts) rmSync(join(folder, name), { recursive: true, force: true });
      return;
    }
    rmSync(folder, { recursive: true, force: true });
    // Those above it may hold something of others by now: they stay then.
    let above = folder;
    while (above !== first) {
      above = dirname(above);
      rmdirSync(above);
    }
  } catch {
    // The user has to know why there is no recording, which is told by the one that calls.
  }
}
