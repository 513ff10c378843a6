import { statSync } from "node:fs";
import { hashFile } from "../../config/host-files";
import { RecordingError } from "../errors";

/** A file as it was when it was recorded. */
export interface FileFacts {
  /** The option that names it, or the part of rebox that it is. */
  readonly role: string;
  /** Absolute. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** When its content was last changed, in nanoseconds since 1970: too many for a number. */
  readonly changedNs: string;
  readonly sha256: string;
}

/** Reads what a file is like. @throws RecordingError when it cannot be read */
export async function readFileFacts(role: string, path: string): Promise<FileFacts> {
  return { role, path, ...readStatus(role, path), sha256: await hashPart(role, path) };
}

/**
 * Checks that a file is still what was recorded. One of the same size and time of change is not read again.
 *
 * @throws RecordingError that names it
 */
export async function checkFile(facts: FileFacts): Promise<void> {
  const { role, path, size, changedNs, sha256 } = facts;
  const now = readStatus(role, path);
  if (now.size === size && now.changedNs === changedNs) return;
  if (now.size === size && (await hashPart(role, path)) === sha256) return;
  throw new RecordingError(
    `${path} (${role}) is not what was recorded: its content has changed; put the old one back, or record anew`,
  );
}

function readStatus(role: string, path: string): { size: number; changedNs: string } {
  try {
    const { size, mtimeNs } = statSync(path, { bigint: true });
    return { size: Number(size), changedNs: String(mtimeNs) };
  } catch (error) {
    throw new RecordingError(`${path} (${role}) cannot be read: ${(error as Error).message}`);
  }
}

async function hashPart(role: string, path: string): Promise<string> {
  try {
    return await hashFile(path);
  } catch (error) {
    throw new RecordingError(`${path} (${role}) cannot be read: ${(error as Error).message}`);
  }
}
